/** Where one frame's bytes are in the pixel data: native, or assembled from fragments (PS3.5 A.4). */
import type { Fragment } from "dicom-parser";
import { type Bytes, concat } from "../lib/bytes.ts";
import type { Dataset } from "../lib/dataset.ts";
import { PageError } from "../lib/errors.ts";
import type { ImagePixels } from "./image.ts";

const PIXEL_DATA = "x7fe00010";

export function nativeFrame(dataset: Dataset, image: ImagePixels, frame: number): Bytes {
  const element = dataset.element(PIXEL_DATA);
  if (!element) throw new PageError("cannot_draw", "no pixel data");
  const bits = frameBits(image);
  const start = element.dataOffset + Math.floor((bits * frame) / 8);
  const end = element.dataOffset + Math.ceil((bits * (frame + 1)) / 8);
  if (end > dataset.bytes.length || end > element.dataOffset + element.length) {
    throw new PageError("cannot_draw", "pixel data too short");
  }
  const swapped = dataset.bigEndian && image.bitsAllocated === 8 && element.vr === "OW";
  return swapped ? swapPairs(dataset.bytes, element.dataOffset, start, end) : dataset.bytes.subarray(start, end);
}

/** 8 bit samples written as big endian 16 bit words (OW) stand in pairs the wrong way round, from the element's start. */
function swapPairs(bytes: Bytes, base: number, start: number, end: number): Bytes {
  return Uint8Array.from({ length: end - start }, (_, i) => bytes[base + ((start - base + i) ^ 1)] ?? 0);
}

export function frameBits(image: ImagePixels): number {
  // YBR_FULL_422 has two samples a pixel: Y for each, Cb and Cr for every second (C.7.6.3.1.2).
  const samples = image.photometric === "YBR_FULL_422" ? 2 : image.samples;
  return image.rows * image.columns * samples * image.bitsAllocated;
}

export function encapsulatedFrame(dataset: Dataset, frames: number, frame: number): Bytes {
  const element = dataset.element(PIXEL_DATA);
  const fragments = element?.fragments;
  if (!element || !fragments || fragments.length === 0) throw new PageError("cannot_draw", "no fragments");
  const cut = (fragment: Fragment) =>
    dataset.bytes.subarray(fragment.position, Math.min(fragment.position + fragment.length, dataset.bytes.length));
  const starts = frameStarts(dataset, fragments, element.basicOffsetTable ?? [], frames, cut);
  const first = starts[frame];
  if (first === undefined) throw new PageError("cannot_draw", "frame is missing");
  const parts = fragments.slice(first, starts[frame + 1] ?? fragments.length).map(cut);
  return parts.length === 1 && parts[0] ? parts[0] : concat(...parts);
}

/** Index of each frame's first fragment: from an offset table if it fits, else from how the fragments begin. */
function frameStarts(
  dataset: Dataset,
  fragments: Fragment[],
  basicOffsets: number[],
  frames: number,
  cut: (fragment: Fragment) => Bytes,
): number[] {
  if (frames === 1) return [0];
  if (fragments.length === frames) return fragments.map((_, index) => index);
  for (const offsets of [extendedOffsets(dataset), basicOffsets]) {
    const starts = offsets.map((offset) => fragments.findIndex((fragment) => fragment.offset === offset));
    if (starts.length === frames && !starts.includes(-1)) return starts;
  }
  return fragments.flatMap((fragment, index) => (beginsImage(cut(fragment)) ? [index] : []));
}

function extendedOffsets(dataset: Dataset): number[] {
  const value = dataset.value("x7fe00001");
  const view = new DataView(value.buffer, value.byteOffset, value.length);
  return Array.from({ length: value.length >> 3 }, (_, i) => Number(view.getBigUint64(i * 8, true)));
}

/** JPEG's SOI and JPEG 2000's SOC. */
function beginsImage(bytes: Bytes): boolean {
  return bytes[0] === 0xff && (bytes[1] === 0xd8 || bytes[1] === 0x4f);
}
