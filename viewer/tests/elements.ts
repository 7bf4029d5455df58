/** Datasets by hand, explicit VR little endian. */
import { ascii, type Bytes, concat } from "../src/lib/bytes.ts";

const LONG = new Set(["OB", "OW", "SQ", "UN"]);

export function el(tag: string, vr: string, value: string | Uint8Array): Bytes {
  const bytes = typeof value === "string" ? ascii(value.length % 2 ? `${value} ` : value) : value;
  const long = LONG.has(vr);
  const head = new Uint8Array(long ? 12 : 8);
  const view = new DataView(head.buffer);
  view.setUint16(0, Number.parseInt(tag.slice(0, 4), 16), true);
  view.setUint16(2, Number.parseInt(tag.slice(4), 16), true);
  head.set(ascii(vr), 4);
  if (long) view.setUint32(8, bytes.length, true);
  else view.setUint16(6, bytes.length, true);
  return concat(head, bytes);
}

export function words(...values: number[]): Bytes {
  return new Uint8Array(Uint16Array.from(values).buffer);
}

/** One item's content. */
export function group(...elements: Bytes[]): Bytes {
  return concat(...elements);
}

export function sequence(tag: string, ...items: Bytes[]): Bytes {
  const framed = items.map((item) => {
    const head = Uint8Array.of(0xfe, 0xff, 0x00, 0xe0, 0, 0, 0, 0);
    new DataView(head.buffer).setUint32(4, item.length, true);
    return concat(head, item);
  });
  return el(tag, "SQ", concat(...framed));
}
