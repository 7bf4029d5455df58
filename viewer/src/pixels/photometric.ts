/** Colour: from samples to RGBA by photometric interpretation (PS3.3 C.7.6.3.1.2). */
import type { Dataset } from "../lib/dataset.ts";
import { PageError } from "../lib/errors.ts";
import type { ImagePixels } from "./image.ts";
import type { Samples, Values } from "./samples.ts";

export function isGray(photometric: string): boolean {
  return photometric === "MONOCHROME1" || photometric === "MONOCHROME2";
}

/** 8 bit RGBA, opaque. */
export function toRgba(samples: Samples, image: ImagePixels, dataset: Dataset): Uint8ClampedArray<ArrayBuffer> {
  const pixels = image.rows * image.columns;
  if (image.photometric === "PALETTE COLOR") return throughPalette(samples.values, pixels, dataset);
  if (image.photometric === "YBR_FULL_422" && !samples.rgb && samples.values.length < pixels * 3) {
    return from422(samples.values, pixels);
  }
  if (image.samples < 3) throw new PageError("cannot_draw", image.photometric);
  const rgba = interleaved(samples, pixels, image);
  if (!samples.rgb && image.photometric.startsWith("YBR_FULL")) convertYbr(rgba);
  return rgba;
}

function interleaved(samples: Samples, pixels: number, image: ImagePixels) {
  const { values, planar } = samples;
  const out = new Uint8ClampedArray(pixels * 4);
  const step = planar ? 1 : image.samples;
  const [g, b] = planar ? [pixels, pixels * 2] : [1, 2];
  const shift = Math.max(0, image.bitsStored - 8);
  for (let i = 0, from = 0, to = 0; i < pixels; i++, from += step, to += 4) {
    out[to] = values[from]! >>> shift;
    out[to + 1] = values[from + g]! >>> shift;
    out[to + 2] = values[from + b]! >>> shift;
    out[to + 3] = 255;
  }
  return out;
}

/** Two pixels in four bytes: Y1 Y2 Cb Cr. */
function from422(values: Values, pixels: number) {
  const out = new Uint8ClampedArray(pixels * 4);
  for (let i = 0; i < pixels; i++) {
    const pair = (i >> 1) * 4;
    out[i * 4] = values[pair + (i & 1)]!;
    out[i * 4 + 1] = values[pair + 2]!;
    out[i * 4 + 2] = values[pair + 3]!;
    out[i * 4 + 3] = 255;
  }
  convertYbr(out);
  return out;
}

/** The inverse of C.7.6.3.1.2's equations for YBR_FULL (CCIR 601-2, full range). */
function convertYbr(rgba: Uint8ClampedArray): void {
  for (let i = 0; i < rgba.length; i += 4) {
    const y = rgba[i]!;
    const cb = rgba[i + 1]! - 128;
    const cr = rgba[i + 2]! - 128;
    rgba[i] = y + 1.402 * cr;
    rgba[i + 1] = y - 0.344136 * cb - 0.714136 * cr;
    rgba[i + 2] = y + 1.772 * cb;
  }
}

function throughPalette(values: Values, pixels: number, dataset: Dataset) {
  const [red, green, blue] = ["1", "2", "3"].map((n) => palette(dataset, n)) as [Palette, Palette, Palette];
  const out = new Uint8ClampedArray(pixels * 4);
  for (let i = 0; i < pixels; i++) {
    const value = values[i]!;
    out[i * 4] = red(value);
    out[i * 4 + 1] = green(value);
    out[i * 4 + 2] = blue(value);
    out[i * 4 + 3] = 255;
  }
  return out;
}

type Palette = (value: number) => number;

/** C.7.6.3.1.5 and .6. `n` is 1, 2, 3 for red, green, blue. */
function palette(dataset: Dataset, n: string): Palette {
  const descriptor = `x0028110${n}`;
  const count = dataset.u16(descriptor, 0);
  if (count === undefined) throw new PageError("cannot_draw", "no palette");
  const entries = count || 65536;
  const raw = dataset.u16(descriptor, 1) ?? 0;
  const first = dataset.u16("x00280103") === 1 && raw > 0x7fff ? raw - 0x10000 : raw;
  const bits = dataset.u16(descriptor, 2) ?? 16;
  const table = dataset.has(`x0028120${n}`)
    ? plainTable(dataset, `x0028120${n}`, entries, bits)
    : segmentedTable(dataset.words(`x0028122${n}`), entries);
  // Some writers say 16 bits and use the lower byte only.
  const shift = bits > 8 && table.some((entry) => entry > 255) ? 8 : 0;
  return (value) => table[Math.min(Math.max(value - first, 0), entries - 1)]! >> shift;
}

function plainTable(dataset: Dataset, tag: string, entries: number, bits: number): Uint16Array {
  const words = dataset.words(tag);
  // 8 bit entries may be packed two in a word (C.7.6.3.1.6).
  if (bits <= 8 && words.length < entries) return Uint16Array.from(dataset.value(tag));
  return words;
}

/** C.7.9.2: discrete, linear and indirect segments. */
function segmentedTable(words: Uint16Array, entries: number): Uint16Array {
  const table: number[] = [];
  const starts: number[] = [];
  const run = (at: number, limit: number): void => {
    for (let count = 0; count < limit && at < words.length && table.length < entries; count++) {
      starts.push(at);
      at = segment(words, at, table, (from, n) => run(from, n));
    }
  };
  run(0, Number.POSITIVE_INFINITY);
  if (table.length === 0) throw new PageError("cannot_draw", "empty palette");
  return Uint16Array.from({ length: entries }, (_, i) => table[Math.min(i, table.length - 1)]!);
}

/** Adds one segment's entries to `table`; returns where the next one begins. */
function segment(words: Uint16Array, at: number, table: number[], again: (at: number, count: number) => void): number {
  const kind = words[at]!;
  const length = words[at + 1] ?? 0;
  if (kind === 0) {
    table.push(...words.subarray(at + 2, at + 2 + length));
    return at + 2 + length;
  }
  if (kind === 1) {
    const from = table.at(-1) ?? 0;
    const to = words[at + 2] ?? from;
    for (let i = 1; i <= length; i++) table.push(Math.round(from + ((to - from) * i) / length));
    return at + 3;
  }
  const target = ((words[at + 3] ?? 0) << 16) | (words[at + 2] ?? 0);
  // A segment that points at itself or forward would never end.
  if (kind !== 2 || target >> 1 >= at) throw new PageError("cannot_draw", "palette segment");
  again(target >> 1, length);
  return at + 4;
}
