/** An instance's plaintext out of the vault's objects: pieces are fetched by range, decrypted segment by segment. */
import type { Bytes } from "./bytes.ts";
import { altered } from "./errors.ts";
import type { Piece } from "./manifest.ts";
import {
  FIRST_PLAIN_BYTES,
  HEADER_BYTES,
  instanceAad,
  PLAIN_BYTES,
  SEGMENT_BYTES,
  type SegmentCipher,
  segmentCipher,
  segmentCount,
} from "./stream.ts";

/** Bytes [offset, offset + length) of an object. */
export type FetchRange = (object: number, offset: number, length: number) => Promise<Bytes>;

/** What lib/manifest.ts says of where an instance lies; a part of Instance. */
export interface Location {
  readonly size: number;
  readonly stream: Bytes;
  readonly key: CryptoKey;
  readonly pieces: readonly Piece[];
}

const RUN_SEGMENTS = 4; // a request for 4 MiB: few round trips, yet a phone never holds much ciphertext

/** The parts of `pieces` that hold ciphertext bytes [start, end). */
export function locate(pieces: readonly Piece[], start: number, end: number): Piece[] {
  const found: Piece[] = [];
  let at = 0;
  for (const [object, offset, length] of pieces) {
    const from = Math.max(start, at);
    const to = Math.min(end, at + length);
    if (from < to) found.push([object, offset + from - at, to - from]);
    at += length;
  }
  return found;
}

async function fetchSealed(fetchRange: FetchRange, pieces: readonly Piece[], start: number, end: number) {
  const parts = await Promise.all(locate(pieces, start, end).map((piece) => fetchRange(...piece)));
  if (parts.length === 1 && parts[0]) return parts[0];
  const whole = new Uint8Array(end - start);
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  if (at !== end - start) throw altered("pieces end too early");
  return whole;
}

/** The whole dataset. Nothing is handed out before the last segment has proved to be the last. */
export async function readInstance(location: Location, fetchRange: FetchRange): Promise<Bytes> {
  const total = location.pieces.reduce((sum, piece) => sum + piece[2], 0);
  const segments = segmentCount(location.size);
  const plain = new Uint8Array(location.size);
  let cipher: SegmentCipher | undefined;
  for (let first = 0; first < segments; first += RUN_SEGMENTS) {
    const start = first * SEGMENT_BYTES;
    const end = Math.min(total, start + RUN_SEGMENTS * SEGMENT_BYTES);
    const sealed = await fetchSealed(fetchRange, location.pieces, start, end);
    cipher ??= await segmentCipher(location.key, instanceAad(location.stream), sealed.slice(0, HEADER_BYTES));
    await openRun(cipher, sealed, first, segments, plain);
  }
  return plain;
}

async function openRun(cipher: SegmentCipher, sealed: Bytes, first: number, segments: number, plain: Bytes) {
  for (let at = 0, index = first; at < sealed.length; at += SEGMENT_BYTES, index++) {
    const segment = sealed.subarray(index === 0 ? HEADER_BYTES : at, Math.min(at + SEGMENT_BYTES, sealed.length));
    const opened = await cipher.open(index, segment, index === segments - 1);
    const offset = index === 0 ? 0 : FIRST_PLAIN_BYTES + (index - 1) * PLAIN_BYTES;
    if (offset + opened.length > plain.length) throw altered("stream longer than the manifest says");
    plain.set(opened, offset);
  }
}
