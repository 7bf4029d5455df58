/** An instance's plaintext out of the vault's objects: pieces are fetched by range, decrypted segment by segment. */
import { type Bytes, concat } from "./bytes.ts";
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

const SEGMENTS_HELD = 8; // of 1 MiB, for each large instance that is open
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

/** Plaintext by range, or all of it. What it hands out has been authenticated at the place where it stands. */
export class InstanceReader {
  private readonly location: Location;
  private readonly fetchRange: FetchRange;
  private readonly total: number;
  private readonly segments: number;
  private cipher: Promise<SegmentCipher> | undefined;
  private readonly held = new Map<number, Promise<Bytes>>();

  constructor(location: Location, fetchRange: FetchRange) {
    this.location = location;
    this.fetchRange = fetchRange;
    this.total = location.pieces.reduce((sum, piece) => sum + piece[2], 0);
    this.segments = segmentCount(location.size);
  }

  /** The whole dataset, in parts of a few MiB. Whoever uses them waits for the last one: it proves that none is missing. */
  async *parts(): AsyncGenerator<Bytes> {
    let size = 0;
    for (let first = 0; first < this.segments; first += RUN_SEGMENTS) {
      const part = concat(...(await this.openRun(first, Math.min(this.segments, first + RUN_SEGMENTS))));
      size += part.length;
      yield part;
    }
    if (size !== this.location.size) throw altered("stream of another length than the manifest says");
  }

  /** Bytes [start, end) of the dataset. */
  async read(start: number, end: number): Promise<Bytes> {
    if (start < 0 || end > this.location.size) throw altered("range beyond the dataset");
    const out = new Uint8Array(end - start);
    for (let index = segmentAt(start); index < this.segments && plainStart(index) < end; index++) {
      const from = plainStart(index);
      const segment = await this.segment(index);
      const part = segment.subarray(Math.max(0, start - from), Math.max(0, end - from));
      out.set(part, Math.max(0, from - start));
    }
    return out;
  }

  /** The last few are kept: frames next to each other share segments. */
  private segment(index: number): Promise<Bytes> {
    const held = this.held.get(index) ?? this.openRun(index, index + 1).then(([plain]) => plain!);
    held.catch(() => this.held.delete(index));
    this.held.delete(index);
    this.held.set(index, held);
    const oldest = this.held.keys().next().value;
    if (this.held.size > SEGMENTS_HELD && oldest !== undefined) this.held.delete(oldest);
    return held;
  }

  private async openRun(first: number, end: number): Promise<Bytes[]> {
    const from = first * SEGMENT_BYTES;
    const sealed = await fetchSealed(
      this.fetchRange,
      this.location.pieces,
      from,
      Math.min(this.total, end * SEGMENT_BYTES),
    );
    const cipher = await (first === 0 ? this.cipherFrom(sealed) : this.cipherFetched());
    return Promise.all(
      Array.from({ length: end - first }, (_, i) => {
        const index = first + i;
        const segment = sealed.subarray(i * SEGMENT_BYTES + (index === 0 ? HEADER_BYTES : 0), (i + 1) * SEGMENT_BYTES);
        return cipher.open(index, segment, index === this.segments - 1);
      }),
    );
  }

  private cipherFrom(sealed: Bytes): Promise<SegmentCipher> {
    const { key, stream } = this.location;
    this.cipher ??= segmentCipher(key, instanceAad(stream), sealed.slice(0, HEADER_BYTES));
    return this.cipher;
  }

  private async cipherFetched(): Promise<SegmentCipher> {
    if (this.cipher) return this.cipher;
    return this.cipherFrom(await fetchSealed(this.fetchRange, this.location.pieces, 0, HEADER_BYTES));
  }
}

export async function readInstance(location: Location, fetchRange: FetchRange): Promise<Bytes> {
  const plain = new Uint8Array(location.size);
  let at = 0;
  for await (const part of new InstanceReader(location, fetchRange).parts()) {
    if (at + part.length > plain.length) throw altered("stream longer than the manifest says");
    plain.set(part, at);
    at += part.length;
  }
  return plain;
}

function segmentAt(plainOffset: number): number {
  return plainOffset < FIRST_PLAIN_BYTES ? 0 : 1 + Math.floor((plainOffset - FIRST_PLAIN_BYTES) / PLAIN_BYTES);
}

function plainStart(index: number): number {
  return index === 0 ? 0 : FIRST_PLAIN_BYTES + (index - 1) * PLAIN_BYTES;
}
