/** Real images decode to what two independent implementations make of them: pydicom for the stored values,
 * dcmjs-imaging for the pixels shown. Where they are wrong or silent, the list says why. */
import { execFileSync } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DicomImage, NativePixelDecoder, WindowLevel } from "dcmjs-imaging";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { parseDataset } from "../src/lib/dataset.ts";
import { decodeFrame } from "../src/pixels/decode.ts";
import type { Window } from "../src/pixels/image.ts";
import { type Frame, render } from "../src/pixels/render.ts";
import { initialWindow } from "../src/pixels/window.ts";
import { loadWasmFromDisk, type RealFile, realFiles, splitPart10 } from "./real-files.ts";

const PYTHON = join(import.meta.dirname, "..", "..", ".venv", "bin", "python");

/** No dataset that a box could send: no file meta information, no pixels, or cut off. */
const NO_PICTURE = new Set([
  "ExplVR_BigEndNoMeta.dcm",
  "ExplVR_LitEndNoMeta.dcm",
  "JPEG2000-embedded-sequence-delimiter.dcm",
  "MR_truncated.dcm",
  "SC_rgb_jpeg.dcm", // implicit VR with encapsulated pixels under an explicit syntax
  "OT-PAL-8-face.dcm",
  "UN_sequence.dcm",
  "empty_charset_LEI.dcm",
  "meta_missing_tsyntax.dcm",
  "nested_priv_SQ.dcm",
  "no_meta.dcm",
  "no_meta_group_length.dcm",
  "priv_SQ.dcm",
  "reportsi.dcm",
  "reportsi_with_empty_number_tags.dcm",
  "rtplan.dcm",
  "rtplan_truncated.dcm",
  "rtstruct.dcm",
  "test-SR.dcm",
  "waveform_ecg.dcm",
]);

/** pydicom 3.0.2 reads a big endian palette in little endian order; its little endian twin is compared instead. */
const PYDICOM_WRONG: Record<string, string> = {
  "OBXXXX1A_expb.dcm": "OBXXXX1A.dcm",
  "OBXXXX1A_expb_2frame.dcm": "OBXXXX1A_2frame.dcm",
};

/** dcmjs-imaging 0.2.5 differs from pydicom here: colour of 16 and 32 bit, RLE colour, big endian words of 8 or 32
 * bit, sizes by photometric interpretation, JPEG that is RGB; and it ignores functional groups. */
const DCMJS_WRONG =
  /^(SC_rgb_(expb_)?(16|32)bit|SC_rgb_rle|OBXXXX1A_expb|SC_rgb_small_odd_big|rtdose_expb|color-p|SC_jpeg_no_color|eCT_Supp|gdcm-US-ALOKA)/;

/** The modality value is a fraction or a decoder's result is lossy: the last bit depends on the order of sums. */
const WITHIN_ONE = /^(MR2_|JPEG-lossy|JPGExtended|vlut_04)/;

interface Decoded {
  readonly frame: Frame;
  readonly bitsStored: number;
  readonly photometric: string;
}

async function decode(path: string): Promise<Decoded> {
  const { dataset: bytes, syntax } = splitPart10(path);
  const dataset = await parseDataset(bytes, syntax);
  const frame = await decodeFrame(dataset, syntax, 0, loadWasmFromDisk);
  return { frame, bitsStored: dataset.u16("x00280101") ?? 8, photometric: dataset.text("x00280004") };
}

function worst(a: ArrayLike<number>, b: ArrayLike<number>): number {
  if (a.length !== b.length) return Number.POSITIVE_INFINITY;
  let most = 0;
  for (let i = 0; i < a.length; i++) most = Math.max(most, Math.abs(a[i]! - b[i]!));
  return most;
}

const pictures = realFiles().filter(({ name }) => !NO_PICTURE.has(name));

describe("the frame that is shown", () => {
  beforeAll(() => NativePixelDecoder.initializeAsync());

  it.for(pictures.filter(({ name }) => !DCMJS_WRONG.test(name)))("$name", async ({ name, path }) => {
    const { frame } = await decode(path);
    const window = explicitWindow(frame);
    const shown = renderWithOracle(path, window);
    expect(worst(render(frame, window), shown)).toBeLessThanOrEqual(WITHIN_ONE.test(name) ? 1 : 0);
  });
});

/** Where a file has no window both get the same one; each has its own habit then. */
function explicitWindow(frame: Frame): Window | undefined {
  if (frame.kind === "colour" || frame.windows.length > 0 || frame.voiLut || frame.modalityLut) return undefined;
  const { center, width } = initialWindow(frame);
  return { center: Math.round(center), width: Math.round(width), shape: "LINEAR", name: "" };
}

function renderWithOracle(path: string, window: Window | undefined): Uint8Array {
  const file = readFileSync(path);
  const image = new DicomImage(file.buffer.slice(file.byteOffset, file.byteOffset + file.length) as ArrayBuffer);
  const options = window ? { windowLevel: new WindowLevel(window.width, window.center) } : {};
  return new Uint8Array(image.render({ frame: 0, ...options }).pixels);
}

describe.runIf(existsSync(PYTHON))("the values that are stored", () => {
  const out = mkdtempSync(join(tmpdir(), "slipway-values-"));
  let found: { error?: string; index: number }[] = [];
  afterAll(() => rmSync(out, { recursive: true }));
  beforeAll(() => {
    const script = join(import.meta.dirname, "stored_values.py");
    const paths = pictures.map(({ path }) => path);
    const lines = execFileSync(PYTHON, [script, out, ...paths], { maxBuffer: 1 << 26 });
    found = lines
      .toString()
      .trim()
      .split("\n")
      .map((line, index) => ({ ...JSON.parse(line), index }));
  });

  it.for(pictures)("$name", async ({ name, path }, context) => {
    const twin = PYDICOM_WRONG[name] ?? name;
    const row = found[pictures.findIndex((picture) => picture.name === twin)];
    if (!row || row.error) return context.skip(row?.error);
    const { frame, bitsStored, photometric } = await decode(path);
    const stored = readValues(join(out, `${row.index}.bin`));
    if (frame.kind === "gray") return expect(worst(frame.values, stored)).toBe(0);
    const bits = photometric === "PALETTE COLOR" ? 16 : bitsStored;
    const eight = stored.some((value) => value > 255)
      ? stored.map((value) => Math.floor(value / 2 ** (bits - 8)))
      : stored;
    expect(
      worst(
        frame.rgba.filter((_, i) => i % 4 < 3),
        eight,
      ),
    ).toBe(0);
  });
});

function readValues(path: string): Float64Array {
  const file = readFileSync(path);
  const wide = new BigInt64Array(file.buffer.slice(file.byteOffset, file.byteOffset + file.length));
  return Float64Array.from(wide, Number);
}

const refused = realFiles().filter(({ name }: RealFile) => NO_PICTURE.has(name));

describe.runIf(refused.length > 0)("what is no picture", () => {
  it.for(refused)("$name is refused", async ({ path }) => {
    await expect(decode(path)).rejects.toThrow();
  });
});
