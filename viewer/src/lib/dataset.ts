/** A dataset as decrypted (no preamble, no file meta information), read with dicom-parser. */
import dicomParser from "dicom-parser";
import { type Bytes, concat } from "./bytes.ts";
import { PageError } from "./errors.ts";
import { DEFLATED, EXPLICIT_BIG, IMPLICIT_LITTLE } from "./syntax.ts";

const PIXEL_DATA = "x7fe00010";
const HEAD_BYTES = 1 << 20; // one segment of ciphertext: no more is fetched than must be anyway
const FIRST_ITEM_BYTES = 8;
const TRAILER_AT_MOST = 16;
const INFLATED_AT_MOST = 1 << 30; // a small file can inflate a thousandfold; a phone's tab dies before this

/** Reads bytes [start, end) of a dataset that is not in memory. */
export type ReadRange = (start: number, end: number) => Promise<Bytes>;

export class Dataset {
  /** All of the dataset; of a large one only what stands before its pixels. */
  readonly bytes: Bytes;
  /** Of the whole dataset. */
  readonly size: number;
  readonly bigEndian: boolean;
  private readonly set: dicomParser.DataSet;
  private readonly readRange: ReadRange | undefined;

  constructor(
    set: dicomParser.DataSet,
    bytes: Bytes,
    bigEndian: boolean,
    beyond?: { size: number; readRange: ReadRange },
  ) {
    this.set = set;
    this.bytes = bytes;
    this.bigEndian = bigEndian;
    this.size = beyond?.size ?? bytes.length;
    this.readRange = beyond?.readRange;
  }

  /** Bytes [start, end), wherever they are. */
  async range(start: number, end: number): Promise<Bytes> {
    if (start > end || end > this.size) throw new PageError("cannot_draw", "pixel data too short");
    if (end <= this.bytes.length || !this.readRange) return this.bytes.subarray(start, end);
    return this.readRange(start, end);
  }

  element(tag: string): dicomParser.Element | undefined {
    return this.set.elements[tag];
  }

  has(tag: string): boolean {
    return (this.element(tag)?.length ?? 0) > 0;
  }

  text(tag: string): string {
    return this.set.string(tag)?.trim() ?? "";
  }

  /** First value of an US element. */
  u16(tag: string, index = 0): number | undefined {
    return this.has(tag) ? this.set.uint16(tag, index) : undefined;
  }

  /** Values of a DS or IS element that are numbers. */
  decimals(tag: string): number[] {
    const text = this.text(tag);
    return text === "" ? [] : text.split("\\").map(Number.parseFloat).filter(Number.isFinite);
  }

  decimal(tag: string): number | undefined {
    return this.decimals(tag)[0];
  }

  strings(tag: string): string[] {
    const text = this.text(tag);
    return text === "" ? [] : text.split("\\").map((value) => value.trim());
  }

  items(tag: string): Dataset[] {
    const items = this.element(tag)?.items ?? [];
    return items.flatMap((item) => (item.dataSet ? [new Dataset(item.dataSet, this.bytes, this.bigEndian)] : []));
  }

  item(tag: string, index = 0): Dataset | undefined {
    return this.items(tag)[index];
  }

  /** 16 bit words of an OW or US element, in the machine's order. */
  words(tag: string): Uint16Array {
    const element = this.element(tag);
    if (!element) return new Uint16Array(0);
    const view = new DataView(this.bytes.buffer, this.bytes.byteOffset + element.dataOffset, element.length);
    return Uint16Array.from({ length: element.length >> 1 }, (_, i) => view.getUint16(i * 2, !this.bigEndian));
  }

  value(tag: string): Bytes {
    const element = this.element(tag);
    return element ? this.bytes.subarray(element.dataOffset, element.dataOffset + element.length) : new Uint8Array(0);
  }
}

export async function parseDataset(stored: Bytes, syntax: string): Promise<Dataset> {
  const bytes = syntax === DEFLATED ? await inflate(stored) : stored;
  const set = parseSet(bytes, syntax);
  return new Dataset(set, bytes, syntax === EXPLICIT_BIG);
}

/** A dataset whose pixels stay where they are, for frames that are read one by one.
 *
 * Nothing where that cannot be: deflated, or pixel data that do not say where their frames begin.
 */
export async function openLargeDataset(
  size: number,
  syntax: string,
  readRange: ReadRange,
): Promise<Dataset | undefined> {
  if (syntax === DEFLATED) return undefined;
  // Functional groups of an enhanced CT are some kB a frame, so the pixels may begin megabytes in.
  for (let length = HEAD_BYTES; length < size; length *= 4) {
    const head = await readRange(0, length);
    const set = parseSet(head, syntax, PIXEL_DATA);
    const pixels = set.elements[PIXEL_DATA];
    if (!pixels || pixels.dataOffset + FIRST_ITEM_BYTES > head.length) continue;
    return new Dataset(set, head, syntax === EXPLICIT_BIG, { size, readRange });
  }
  return undefined;
}

function parseSet(bytes: Bytes, syntax: string, untilTag?: string): dicomParser.DataSet {
  const bigEndian = syntax === EXPLICIT_BIG;
  const order = bigEndian ? dicomParser.bigEndianByteArrayParser : dicomParser.littleEndianByteArrayParser;
  const stream = new dicomParser.ByteStream(order, bytes, 0);
  const set = new dicomParser.DataSet(order, bytes, {});
  try {
    const options = (untilTag ? { untilTag } : {}) as { untilTag: string };
    if (isImplicit(bytes, syntax)) dicomParser.parseDicomDataSetImplicit(set, stream, bytes.length, options);
    else dicomParser.parseDicomDataSetExplicit(set, stream, bytes.length, options);
  } catch (error) {
    // What stands before the fault is kept: many real files have a flaw behind their last useful element.
    if (!untilTag && !set.elements.x00280010)
      throw new PageError("cannot_draw", String((error as Error)?.message ?? error));
  }
  return set;
}

/** By what stands there, not only by what was said: some writers mix the two up. */
function isImplicit(bytes: Bytes, syntax: string): boolean {
  if (bytes.length < 8) return syntax === IMPLICIT_LITTLE;
  return !/^[A-Z]{2}$/.test(String.fromCharCode(bytes[4]!, bytes[5]!));
}

/** Real deflated datasets end in up to 9 bytes that are no deflate: padding (PS3.5 A.5), or gzip's check sum. At those
 * the stream fails, and browsers then drop what it had ready; byte by byte nothing is ready when it does. */
async function inflate(bytes: Bytes): Promise<Bytes> {
  const stream = new DecompressionStream("deflate-raw");
  const inflated = collect(stream.readable);
  inflated.catch(() => {}); // said when it is awaited
  const writer = stream.writable.getWriter();
  const end = Math.max(0, bytes.length - TRAILER_AT_MOST);
  try {
    await writer.write(bytes.subarray(0, end));
    for (let at = end; at < bytes.length; at++) await writer.write(bytes.subarray(at, at + 1));
    await writer.close();
  } catch {
    // A dataset cut short shows when its pixels are looked for.
  }
  return inflated;
}

/** What comes out before the stream ends or fails. */
async function collect(readable: ReadableStream<Uint8Array>): Promise<Bytes> {
  const chunks: Uint8Array[] = [];
  let length = 0;
  const reader = readable.getReader();
  const read = () => reader.read().catch(() => ({ done: true, value: undefined }) as const);
  for (let next = await read(); !next.done; next = await read()) {
    chunks.push(next.value);
    length += next.value.length;
    if (length > INFLATED_AT_MOST) {
      await reader.cancel();
      throw new PageError("out_of_memory");
    }
  }
  return concat(...chunks);
}
