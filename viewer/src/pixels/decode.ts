/** One frame of a dataset, decoded: the whole way from bytes to what ui/ draws. Runs in the worker and in tests. */
import type { Dataset } from "../lib/dataset.ts";
import { PageError } from "../lib/errors.ts";
import { compressionOf } from "../lib/syntax.ts";
import { decompress, type LoadWasm } from "./codecs.ts";
import { encapsulatedFrame, frameBits, nativeFrame } from "./frames.ts";
import { type ImagePixels, imagePixels, presentation } from "./image.ts";
import { isGray, toRgba } from "./photometric.ts";
import type { Frame } from "./render.ts";
import { readBits, readWords, type Samples, storedValues, type Values } from "./samples.ts";

export async function decodeFrame(dataset: Dataset, syntax: string, frame: number, loadWasm: LoadWasm): Promise<Frame> {
  const image = imagePixels(dataset);
  const samples = await readSamples(dataset, image, syntax, frame, loadWasm);
  const { columns, rows } = image;
  const { aspect, ...gray } = presentation(dataset, frame, image.signed);
  if (!isGray(image.photometric)) {
    return { kind: "colour", columns, rows, aspect, rgba: toRgba(unsigned(samples, image), image, dataset) };
  }
  const values = storedValues(samples.values, image);
  return { kind: "gray", columns, rows, aspect, values, ...extent(values), ...gray };
}

async function readSamples(
  dataset: Dataset,
  image: ImagePixels,
  syntax: string,
  frame: number,
  loadWasm: LoadWasm,
): Promise<Samples> {
  const compression = compressionOf(syntax);
  if (!compression || compression === "video") throw new PageError("cannot_draw", syntax);
  if (compression !== "none") {
    const encoded = await encapsulatedFrame(dataset, image.frames, frame);
    return decompress(compression, encoded, image, loadWasm);
  }
  const bytes = await nativeFrame(dataset, image, frame);
  if (image.bitsAllocated === 1) {
    const skip = (frameBits(image) * frame) % 8;
    return { values: readBits(bytes, image.rows * image.columns, skip), planar: false, rgb: false };
  }
  const values = readWords(bytes, image.bitsAllocated, dataset.bigEndian);
  return { values, planar: image.planar, rgb: false };
}

/** Colour samples have no sign and no unused high bits to keep. */
function unsigned(samples: Samples, image: ImagePixels): Samples {
  const words = image.photometric === "PALETTE COLOR" ? storedValues(samples.values, image) : samples.values;
  return { ...samples, values: words };
}

function extent(values: Values): { low: number; high: number } {
  let low = Number.POSITIVE_INFINITY;
  let high = Number.NEGATIVE_INFINITY;
  for (let i = 0; i < values.length; i++) {
    const value = values[i]!;
    if (value < low) low = value;
    if (value > high) high = value;
  }
  return { low, high };
}
