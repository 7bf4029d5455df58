/** Where one frame's bytes are in the pixel data: native, or assembled from fragments (PS3.5 A.4). */
import type { Fragment } from "dicom-parser";
import { type Bytes, concat } from "../lib/bytes.ts";
import type { Dataset } from "../lib/dataset.ts";
import { PageError } from "../lib/errors.ts";
import type { ImagePixels } from "./image.ts";

const PIXEL_DATA = "x7fe00010";
const ITEM_HEADER_BYTES = 8;

export async function nativeFrame(dataset: Dataset, image: ImagePixels, frame: number): Promise<Bytes> {
  const element = dataset.element(PIXEL_DATA);
  if (!element) throw new PageError("cannot_draw", "no pixel data");
  const bits = frameBits(image);
  const start = Math.floor((bits * frame) / 8);
  const end = Math.ceil((bits * (frame + 1)) / 8);
  if (end > element.length) throw new PageError("cannot_draw", "pixel data too short");
  if (!dataset.bigEndian || image.bitsAllocated > 8 || element.vr !== "OW") {
    return dataset.range(element.dataOffset + start, element.dataOffset + end);
  }
  const even = start & ~1;
  const words = await dataset.range(element.dataOffset + even, element.dataOffset + end + (end & 1));
  return swapPairs(words).subarray(start - even, end - even);
}

/** 8 bit samples written as big endian 16 bit words (OW) stand in pairs the wrong way round. */
function swapPairs(bytes: Bytes): Bytes {
  return Uint8Array.from({ length: bytes.length }, (_, i) => bytes[i ^ 1] ?? 0);
}

export function frameBits(image: ImagePixels): number {
  // YBR_FULL_422 has two samples a pixel: Y for each, Cb and Cr for every second (C.7.6.3.1.2).
  const samples = image.photometric === "YBR_FULL_422" ? 2 : image.samples;
  return image.rows * image.columns * samples * image.bitsAllocated;
}

export async function encapsulatedFrame(dataset: Dataset, frames: number, frame: number): Promise<Bytes> {
  const element = dataset.element(PIXEL_DATA);
  const fragments = element?.fragments;
  if (element && !fragments && dataset.size > dataset.bytes.length) return frameByOffset(dataset, frames, frame);
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

/** Whether each frame of a large dataset can be found without reading those before it. */
export async function framesCanBeFound(dataset: Dataset, image: ImagePixels): Promise<boolean> {
  const element = dataset.element(PIXEL_DATA);
  if (!element?.hadUndefinedLength) return element !== undefined;
  return (await offsetTable(dataset, image.frames)) !== undefined;
}

interface OffsetTable {
  readonly offsets: readonly number[];
  /** Where the first fragment's item begins; offsets count from there (PS3.5 A.4). */
  readonly base: number;
}

async function offsetTable(dataset: Dataset, frames: number): Promise<OffsetTable | undefined> {
  const at = dataset.element(PIXEL_DATA)!.dataOffset;
  const length = itemLength(await dataset.range(at, at + ITEM_HEADER_BYTES));
  if (length === undefined) return undefined;
  const base = at + ITEM_HEADER_BYTES + length;
  const extended = extendedOffsets(dataset);
  if (extended.length === frames) return { offsets: extended, base };
  if (length !== frames * 4) return undefined;
  const table = await dataset.range(at + ITEM_HEADER_BYTES, base);
  const view = new DataView(table.buffer, table.byteOffset, table.length);
  return { offsets: Array.from({ length: frames }, (_, i) => view.getUint32(i * 4, true)), base };
}

async function frameByOffset(dataset: Dataset, frames: number, frame: number): Promise<Bytes> {
  const table = await offsetTable(dataset, frames);
  const offset = table?.offsets[frame];
  if (!table || offset === undefined) throw new PageError("cannot_draw", "frame is missing");
  const next = table.offsets[frame + 1];
  const items = await dataset.range(table.base + offset, next === undefined ? dataset.size : table.base + next);
  const parts: Bytes[] = [];
  for (let at = 0; at + ITEM_HEADER_BYTES <= items.length;) {
    const length = itemLength(items.subarray(at, at + ITEM_HEADER_BYTES));
    if (length === undefined) break; // the delimiter behind the last fragment
    parts.push(items.subarray(at + ITEM_HEADER_BYTES, at + ITEM_HEADER_BYTES + length));
    at += ITEM_HEADER_BYTES + length;
  }
  return concat(...parts);
}

/** Nothing where no item (FFFE,E000) begins. */
function itemLength(header: Bytes): number | undefined {
  const view = new DataView(header.buffer, header.byteOffset, header.length);
  return view.getUint32(0, true) === 0xe000fffe ? view.getUint32(4, true) : undefined;
}

/** JPEG's SOI and JPEG 2000's SOC. */
function beginsImage(bytes: Bytes): boolean {
  return bytes[0] === 0xff && (bytes[1] === 0xd8 || bytes[1] === 0x4f);
}
