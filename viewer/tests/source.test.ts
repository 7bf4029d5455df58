/** An instance out of pieces of objects: any altered, missing or reordered byte is refused. */
import { describe, expect, it } from "vitest";
import type { Bytes } from "../src/lib/bytes.ts";
import type { Piece } from "../src/lib/manifest.ts";
import { type Location, locate, readInstance } from "../src/lib/source.ts";
import { FIRST_PLAIN_BYTES, importStreamKey, PLAIN_BYTES, SEGMENT_BYTES } from "../src/lib/stream.ts";
import { random, sealInstance } from "./seal.ts";

/** Cut into objects of `size` bytes, each behind 7 bytes of something else. */
function cut(sealed: Bytes, size: number): { objects: Bytes[]; pieces: Piece[] } {
  const objects: Bytes[] = [];
  const pieces: Piece[] = [];
  for (let at = 0; at < sealed.length; at += size) {
    const part = sealed.slice(at, at + size);
    const object = new Uint8Array(part.length + 7);
    object.set(part, 7);
    pieces.push([objects.length, 7, part.length]);
    objects.push(object);
  }
  return { objects, pieces };
}

async function stored(plain: Bytes, size: number) {
  const { stream, key, sealed } = sealInstance(plain);
  const { objects, pieces } = cut(sealed, size);
  const location: Location = { size: plain.length, stream, key: await importStreamKey(key), pieces };
  const read = () => readInstance(location, async (n, offset, length) => objects[n]!.slice(offset, offset + length));
  return { objects, location, read };
}

describe("readInstance", () => {
  it.each([
    [0, 100],
    [1000, 13],
    [FIRST_PLAIN_BYTES, SEGMENT_BYTES],
    [FIRST_PLAIN_BYTES + 1, 600_000],
    [FIRST_PLAIN_BYTES + 5 * PLAIN_BYTES + 99, 3_000_001],
  ])("gives %i bytes back from objects of %i", async (bytes, size) => {
    const plain = random(bytes);
    const { read } = await stored(plain, size);
    expect(Buffer.compare(await read(), plain)).toBe(0);
  });

  it("refuses a flipped byte in any segment", async () => {
    for (const at of [7, 50, SEGMENT_BYTES + 20, 2 * SEGMENT_BYTES + 30]) {
      const { objects, read } = await stored(random(FIRST_PLAIN_BYTES + 2 * PLAIN_BYTES), 1 << 24);
      objects[0]![at]! ^= 1;
      await expect(read()).rejects.toThrow("altered");
    }
  });

  it("refuses swapped segments", async () => {
    const { objects, read } = await stored(random(FIRST_PLAIN_BYTES + 3 * PLAIN_BYTES), SEGMENT_BYTES);
    [objects[1], objects[2]] = [objects[2]!, objects[1]!];
    await expect(read()).rejects.toThrow("altered");
  });

  it("refuses a stream cut at the edge of a segment", async () => {
    const { location, objects } = await stored(random(FIRST_PLAIN_BYTES + 2 * PLAIN_BYTES), SEGMENT_BYTES);
    const short = { ...location, size: FIRST_PLAIN_BYTES + PLAIN_BYTES, pieces: location.pieces.slice(0, 2) };
    await expect(readInstance(short, async (n, o, l) => objects[n]!.slice(o, o + l))).rejects.toThrow("altered");
  });

  it("refuses an instance under another's name", async () => {
    const [a, b] = [await stored(random(100), 1000), await stored(random(100), 1000)];
    const mixed = { ...a.location, stream: b.location.stream };
    await expect(readInstance(mixed, async (n, o, l) => a.objects[n]!.slice(o, o + l))).rejects.toThrow("altered");
  });
});

describe("locate", () => {
  const pieces: Piece[] = [
    [4, 10, 100],
    [5, 0, 50],
    [7, 3, 1],
  ];

  it("finds a range within and across pieces", () => {
    expect(locate(pieces, 0, 151)).toEqual(pieces);
    expect(locate(pieces, 20, 30)).toEqual([[4, 30, 10]]);
    expect(locate(pieces, 99, 102)).toEqual([
      [4, 109, 1],
      [5, 0, 2],
    ]);
    expect(locate(pieces, 150, 400)).toEqual([[7, 3, 1]]);
  });
});
