/** Real DICOM files for tests: those that come with pydicom and pydicom-data, in the checkout's virtualenv. */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import dicomParser from "dicom-parser";
import type { Bytes } from "../src/lib/bytes.ts";
import type { LoadWasm, WasmName } from "../src/pixels/codecs.ts";

const require = createRequire(import.meta.url);
const LIBRARIES = join(import.meta.dirname, "..", "..", ".venv", "lib");

/** One JPEG lossless file for each selection value. */
const LOSSLESS = join(import.meta.dirname, "..", "node_modules", "jpeg-lossless-decoder-js", "tests", "data");

const FOLDERS = ["pydicom/data/test_files", "data_store/data"];

export interface RealFile {
  readonly name: string;
  readonly path: string;
}

/** Without the virtualenv only those that come with an npm package. */
export function realFiles(): RealFile[] {
  const pythons = existsSync(LIBRARIES) ? readdirSync(LIBRARIES) : [];
  const packages = pythons.map((python) => join(LIBRARIES, python, "site-packages"));
  const folders = packages.flatMap((root) => FOLDERS.map((folder) => join(root, folder)));
  return [...folders, LOSSLESS].filter(existsSync).flatMap((folder) =>
    readdirSync(folder)
      .filter((name) => name.endsWith(".dcm"))
      .sort()
      .map((name) => ({ name, path: join(folder, name) })),
  );
}

export function realFile(name: string): RealFile | undefined {
  return realFiles().find((file) => file.name === name);
}

export interface Split {
  readonly sopClass: string;
  readonly uid: string;
  readonly syntax: string;
  /** The dataset as it travels in a share: without preamble and file meta information. */
  readonly dataset: Bytes;
}

/** A Part 10 file taken apart; throws where it has no file meta information. */
export function splitPart10(path: string): Split {
  const file = new Uint8Array(readFileSync(path));
  const meta = dicomParser.readPart10Header(file, { untilTag: "" } as never);
  const end = (meta as unknown as { position: number }).position;
  const text = (tag: string) => meta.string(tag) ?? "";
  const syntax = text("x00020010");
  if (!syntax || !end) throw new Error(`${path} has no file meta information`);
  return { sopClass: text("x00020002"), uid: text("x00020003"), syntax, dataset: file.slice(end) };
}

const WASM: Record<WasmName, string> = {
  charls: "@cornerstonejs/codec-charls/decodewasm",
  openjpeg: "@cornerstonejs/codec-openjpeg/decodewasm",
  openjph: "@cornerstonejs/codec-openjph/wasm",
  "libjpeg-turbo": "@cornerstonejs/codec-libjpeg-turbo-8bit/decodewasm",
};

export const loadWasmFromDisk: LoadWasm = async (name) => {
  const bytes = readFileSync(require.resolve(WASM[name]));
  return bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength) as ArrayBuffer;
};
