/** Decoders for compressed frames. Each is loaded when the first frame that wants it comes. */
import { type Bytes, concat } from "../lib/bytes.ts";
import { PageError } from "../lib/errors.ts";
import type { Compression } from "../lib/syntax.ts";
import type { ImagePixels } from "./image.ts";
import { decodeRle } from "./rle.ts";
import { readWords, type Samples } from "./samples.ts";

export type WasmName = "charls" | "openjpeg" | "openjph" | "libjpeg-turbo";

/** Hands out a codec's WebAssembly binary: by fetch in the worker, from the disk in tests. */
export type LoadWasm = (name: WasmName) => Promise<ArrayBuffer>;

interface FrameInfo {
  readonly width: number;
  readonly height: number;
  readonly bitsPerSample: number;
  readonly componentCount: number;
  readonly isSigned?: boolean;
}

interface WasmDecoder {
  getEncodedBuffer(length: number): Uint8Array;
  getDecodedBuffer(): Uint8Array;
  getFrameInfo(): FrameInfo;
  getInterleaveMode?(): number;
  decode(): void;
  delete(): void;
}

type Module = Record<string, new () => WasmDecoder>;
type Factory = (options: { wasmBinary: ArrayBuffer; print: () => void; printErr: () => void }) => Promise<Module>;
type Glue = () => Promise<{ default: unknown }>;

const GLUE: Record<WasmName, { load: Glue; decoder: string }> = {
  charls: { load: () => import("@cornerstonejs/codec-charls/decodewasmjs"), decoder: "JpegLSDecoder" },
  openjpeg: { load: () => import("@cornerstonejs/codec-openjpeg/decodewasmjs"), decoder: "J2KDecoder" },
  openjph: { load: () => import("@cornerstonejs/codec-openjph/wasmjs"), decoder: "HTJ2KDecoder" },
  "libjpeg-turbo": {
    load: () => import("@cornerstonejs/codec-libjpeg-turbo-8bit/decodewasmjs"),
    decoder: "JPEGDecoder",
  },
};

const modules = new Map<WasmName, Promise<Module>>();

function loadModule(name: WasmName, loadWasm: LoadWasm): Promise<Module> {
  const loaded = modules.get(name);
  if (loaded) return loaded;
  const loading = Promise.all([GLUE[name].load(), loadWasm(name)]).then(([glue, wasmBinary]) =>
    (glue.default as Factory)({ wasmBinary, print: () => {}, printErr: () => {} }),
  );
  modules.set(name, loading);
  loading.catch(() => modules.delete(name)); // a lost network must not spoil the codec for the whole visit
  return loading;
}

async function decodeWasm(name: WasmName, encoded: Bytes, loadWasm: LoadWasm) {
  const module = await loadModule(name, loadWasm);
  const Decoder = module[GLUE[name].decoder]!;
  const decoder = new Decoder();
  try {
    decoder.getEncodedBuffer(encoded.length).set(encoded);
    decoder.decode();
    const info = decoder.getFrameInfo();
    // A copy: the decoder's memory is used again by the next frame.
    return { info, bytes: decoder.getDecodedBuffer().slice() as Bytes, mode: decoder.getInterleaveMode?.() ?? 2 };
  } catch (error) {
    throw new PageError("cannot_draw", `${name}: ${String(error)}`);
  } finally {
    decoder.delete();
  }
}

/** Samples of one compressed frame, as unsigned words whose low bits hold the value. */
export async function decompress(
  compression: Compression,
  encoded: Bytes,
  image: ImagePixels,
  loadWasm: LoadWasm,
): Promise<Samples> {
  const pixels = image.rows * image.columns;
  switch (compression) {
    case "rle": {
      const bytes = decodeRle(encoded, pixels, image.samples, image.bitsAllocated >> 3);
      return { values: readWords(bytes, image.bitsAllocated, false), planar: true, rgb: false };
    }
    case "jpeg":
      return decodeJpeg(encoded, image, loadWasm);
    case "jpeg-lossless":
      return decodeJpegLossless(encoded, image);
    case "jpeg-ls":
      return fromWasm("charls", encoded, image, loadWasm);
    case "jpeg-2000":
      return fromWasm("openjpeg", encoded, image, loadWasm);
    case "htj2k":
      return fromWasm("openjph", encoded, image, loadWasm);
    default:
      throw new PageError("cannot_draw", compression);
  }
}

async function fromWasm(name: WasmName, encoded: Bytes, image: ImagePixels, loadWasm: LoadWasm): Promise<Samples> {
  const { info, bytes, mode } = await decodeWasm(name, encoded, loadWasm);
  checkSize(info.width, info.height, info.componentCount, image);
  const words = readWords(bytes, info.bitsPerSample > 16 ? 32 : info.bitsPerSample > 8 ? 16 : 8, false);
  // JPEG 2000 undoes its own colour transform; JPEG-LS has none.
  return { values: words, planar: name === "charls" && mode === 0, rgb: name !== "charls" && isTransformed(image) };
}

function isTransformed(image: ImagePixels): boolean {
  return image.photometric === "YBR_RCT" || image.photometric === "YBR_ICT" || image.photometric === "RGB";
}

async function decodeJpeg(encoded: Bytes, image: ImagePixels, loadWasm: LoadWasm): Promise<Samples> {
  if (jpegPrecision(encoded) > 8) {
    const { decodeJpeg12 } = await import("./jpeg12.ts");
    const decoded = decodeJpeg12(encoded);
    checkSize(decoded.columns, decoded.rows, decoded.components, image);
    return { values: decoded.values, planar: false, rgb: false };
  }
  const marked = image.photometric === "RGB" ? markRgb(encoded) : encoded;
  const { info, bytes } = await decodeWasm("libjpeg-turbo", marked, loadWasm);
  checkSize(info.width, info.height, info.componentCount, image);
  return { values: bytes, planar: false, rgb: true };
}

async function decodeJpegLossless(encoded: Bytes, image: ImagePixels): Promise<Samples> {
  const { Decoder } = await import("jpeg-lossless-decoder-js");
  const decoder = new Decoder();
  let output: ArrayBuffer;
  try {
    output = decoder.decompress(encoded.slice().buffer, 0, encoded.length);
  } catch (error) {
    throw new PageError("cannot_draw", `JPEG lossless: ${String(error)}`);
  }
  checkSize(decoder.xDim, decoder.yDim, decoder.numComp, image);
  const bits = output.byteLength === image.rows * image.columns * image.samples ? 8 : 16;
  return { values: readWords(new Uint8Array(output), bits, false), planar: false, rgb: false };
}

/** A JPEG that is RGB by its dataset and has neither JFIF nor Adobe marker would be taken for YCbCr: say it is not. */
export function markRgb(encoded: Bytes): Bytes {
  for (let at = 2; at + 4 < encoded.length && encoded[at] === 0xff;) {
    const marker = encoded[at + 1]!;
    if (marker === 0xe0 || marker === 0xee) return encoded;
    if (marker === 0xda) break;
    at += 2 + ((encoded[at + 2]! << 8) | encoded[at + 3]!);
  }
  // APP14 "Adobe", version 100, no flags, transform 0: none (ITU-T T.872 section 6.5.3).
  const adobe = [0xff, 0xee, 0, 14, 0x41, 0x64, 0x6f, 0x62, 0x65, 0, 100, 0, 0, 0, 0, 0];
  return concat(encoded.subarray(0, 2), Uint8Array.from(adobe), encoded.subarray(2));
}

/** Bits a sample, from the frame header (SOF0, 1, 2). */
export function jpegPrecision(encoded: Uint8Array): number {
  for (let at = 2; at + 4 < encoded.length && encoded[at] === 0xff;) {
    const marker = encoded[at + 1]!;
    if (marker === 0xff) {
      at++; // fill byte
      continue;
    }
    if (marker >= 0xc0 && marker <= 0xc3) return encoded[at + 4]!;
    at += 2 + ((encoded[at + 2]! << 8) | encoded[at + 3]!);
  }
  return 8;
}

function checkSize(columns: number, rows: number, samples: number, image: ImagePixels): void {
  if (columns !== image.columns || rows !== image.rows || samples !== image.samples) {
    throw new PageError("cannot_draw", `decoded ${columns}x${rows}x${samples}`);
  }
}
