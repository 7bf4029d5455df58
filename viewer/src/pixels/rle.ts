/** RLE Lossless (PS3.5 annex G): PackBits, one segment for each byte of each sample. */
import type { Bytes } from "../lib/bytes.ts";
import { PageError } from "../lib/errors.ts";

const HEADER_BYTES = 64;

/** Bytes as native little endian, samples plane after plane. */
export function decodeRle(encoded: Bytes, pixels: number, samples: number, bytesPerSample: number): Bytes {
  const view = new DataView(encoded.buffer, encoded.byteOffset, encoded.length);
  const count = encoded.length >= HEADER_BYTES ? view.getUint32(0, true) : 0;
  if (count !== samples * bytesPerSample) throw new PageError("cannot_draw", `RLE of ${count} segments`);
  const decoded = new Uint8Array(pixels * samples * bytesPerSample);
  for (let segment = 0; segment < count; segment++) {
    const start = view.getUint32(4 + segment * 4, true);
    const end = segment + 1 < count ? view.getUint32(8 + segment * 4, true) : encoded.length;
    const sample = Math.floor(segment / bytesPerSample);
    // G.2: the most significant byte comes first; we write little endian.
    const byte = bytesPerSample - 1 - (segment % bytesPerSample);
    unpack(encoded.subarray(start, end), decoded, sample * pixels * bytesPerSample + byte, bytesPerSample, pixels);
  }
  return decoded;
}

/** Writes `pixels` bytes to `out` from `at`, `step` apart. A segment that ends early or has padding is accepted. */
function unpack(packed: Uint8Array, out: Uint8Array, at: number, step: number, pixels: number): void {
  const end = at + pixels * step;
  let read = 0;
  while (read < packed.length && at < end) {
    const control = packed[read++]!;
    if (control < 128) {
      for (let n = control + 1; n > 0 && read < packed.length && at < end; n--, at += step) out[at] = packed[read++]!;
    } else if (control > 128) {
      const value = packed[read++] ?? 0;
      for (let n = 257 - control; n > 0 && at < end; n--, at += step) out[at] = value;
    }
  }
}
