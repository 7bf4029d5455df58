/** From bytes to sample values: byte order, unused high bits, sign (PS3.5 section 8.1). */
import type { Bytes } from "../lib/bytes.ts";
import type { ImagePixels } from "./image.ts";

export type Values = Uint8Array | Int8Array | Uint16Array | Int16Array | Uint32Array | Int32Array;

/** Samples as they stand in memory, with what their decoder knows about them. */
export interface Samples {
  readonly values: Values;
  /** All of the first sample, then all of the second: otherwise pixel by pixel. */
  readonly planar: boolean;
  /** Already RGB, whatever the photometric interpretation says: the decoder converted. */
  readonly rgb: boolean;
}

/** Words of 8, 16 or 32 bits from bytes, unsigned, in the machine's order (which is little endian everywhere here). */
export function readWords(bytes: Bytes, bits: number, bigEndian: boolean): Values {
  if (bits === 8) return bytes;
  const size = bits >> 3;
  const aligned = bytes.byteOffset % size === 0 ? bytes : bytes.slice();
  const count = Math.floor(bytes.length / size);
  if (!bigEndian) {
    const Words = bits === 16 ? Uint16Array : Uint32Array;
    return new Words(aligned.buffer, aligned.byteOffset, count);
  }
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  if (bits === 16) return Uint16Array.from({ length: count }, (_, i) => view.getUint16(i * 2));
  return Uint32Array.from({ length: count }, (_, i) => view.getUint32(i * 4));
}

/** One bit a pixel, least significant first (PS3.5 8.1.1). `skip` bits belong to the frame before. */
export function readBits(bytes: Bytes, count: number, skip: number): Uint8Array {
  return Uint8Array.from({ length: count }, (_, i) => ((bytes[(i + skip) >> 3] ?? 0) >> ((i + skip) & 7)) & 1);
}

/** The stored value in each word: bits above (overlays, rubbish) are dropped, the sign is extended. */
export function storedValues(words: Values, image: ImagePixels): Values {
  const { bitsAllocated, bitsStored, highBit, signed } = image;
  const below = highBit - bitsStored + 1;
  const unused = bitsAllocated - bitsStored;
  if (unused === 0 && below === 0) return signed ? reinterpretSigned(words) : words;
  const up = 32 - bitsStored - below;
  if (up < 0 || below < 0) return words;
  const out = signed ? signedLike(words) : unsignedLike(words);
  if (signed) for (let i = 0; i < out.length; i++) out[i] = (words[i]! << up) >> (32 - bitsStored);
  else for (let i = 0; i < out.length; i++) out[i] = (words[i]! << up) >>> (32 - bitsStored);
  return out;
}

function reinterpretSigned(words: Values): Values {
  if (words.BYTES_PER_ELEMENT === 1) return new Int8Array(words.buffer, words.byteOffset, words.length);
  if (words.BYTES_PER_ELEMENT === 2) return new Int16Array(words.buffer, words.byteOffset, words.length);
  return new Int32Array(words.buffer, words.byteOffset, words.length);
}

function signedLike(words: Values): Values {
  if (words.BYTES_PER_ELEMENT === 1) return new Int8Array(words.length);
  return words.BYTES_PER_ELEMENT === 2 ? new Int16Array(words.length) : new Int32Array(words.length);
}

function unsignedLike(words: Values): Values {
  if (words.BYTES_PER_ELEMENT === 1) return new Uint8Array(words.length);
  return words.BYTES_PER_ELEMENT === 2 ? new Uint16Array(words.length) : new Uint32Array(words.length);
}
