/** Large multi-frame instances are read frame by frame, and show what the whole would show. */
import { describe, expect, it } from "vitest";
import { type Bytes, concat } from "../src/lib/bytes.ts";
import { openLargeDataset, parseDataset } from "../src/lib/dataset.ts";
import { InstanceReader } from "../src/lib/source.ts";
import { importStreamKey } from "../src/lib/stream.ts";
import { decodeFrame } from "../src/pixels/decode.ts";
import { encapsulatedFrame, framesCanBeFound } from "../src/pixels/frames.ts";
import { imagePixels } from "../src/pixels/image.ts";
import { render } from "../src/pixels/render.ts";
import { el, words } from "./elements.ts";
import { loadWasmFromDisk } from "./real-files.ts";
import { random, sealInstance } from "./seal.ts";

const EXPLICIT = "1.2.840.10008.1.2.1";
const JPEG = "1.2.840.10008.1.2.4.50";
const FRAMES = 7;
const SIDE = 600;

function image(pixelData: Bytes, bits: number): Bytes {
  return concat(
    el("00280002", "US", words(1)),
    el("00280004", "CS", "MONOCHROME2"),
    el("00280008", "IS", String(FRAMES)),
    el("00280010", "US", words(SIDE)),
    el("00280011", "US", words(SIDE)),
    el("00280100", "US", words(bits)),
    el("00280101", "US", words(bits)),
    el("00280102", "US", words(bits - 1)),
    el("00280103", "US", words(0)),
    pixelData,
  );
}

/** What is fetched is counted, as a phone's owner pays for it. */
async function sealed(dataset: Bytes) {
  const { stream, key, sealed } = sealInstance(dataset);
  let fetched = 0;
  const location = {
    size: dataset.length,
    stream,
    key: await importStreamKey(key),
    pieces: [[0, 0, sealed.length]] as const,
  };
  const reader = new InstanceReader(location, async (_, offset, length) => {
    fetched += length;
    return sealed.slice(offset, offset + length);
  });
  return { reader, sealed, fetched: () => fetched };
}

function item(bytes: Uint8Array): Bytes {
  return concat(Uint8Array.of(0xfe, 0xff, 0x00, 0xe0, ...new Uint8Array(Uint32Array.of(bytes.length).buffer)), bytes);
}

function encapsulated(table: Uint8Array, fragments: Bytes[]): Bytes {
  const head = Uint8Array.of(0xe0, 0x7f, 0x10, 0x00, 0x4f, 0x42, 0, 0, 0xff, 0xff, 0xff, 0xff);
  return concat(head, item(table), ...fragments.map(item), Uint8Array.of(0xfe, 0xff, 0xdd, 0xe0, 0, 0, 0, 0));
}

describe("a large native instance", () => {
  it("shows each frame, fetching little more than that", async () => {
    const dataset = image(el("7fe00010", "OW", random(FRAMES * SIDE * SIDE * 2)), 16);
    const whole = await parseDataset(dataset, EXPLICIT);
    const { reader, fetched } = await sealed(dataset);
    const large = await openLargeDataset(dataset.length, EXPLICIT, (start, end) => reader.read(start, end));
    expect(large?.bytes.length).toBeLessThan(dataset.length / 4);
    expect(await framesCanBeFound(large!, imagePixels(large!))).toBe(true);
    for (const frame of [5, 0, 6]) {
      const [a, b] = await Promise.all([whole, large!].map((d) => decodeFrame(d, EXPLICIT, frame, loadWasmFromDisk)));
      expect(Buffer.compare(Buffer.from(render(a!)), Buffer.from(render(b!)))).toBe(0);
    }
    expect(fetched()).toBeLessThan(dataset.length);
  });

  it("is refused where a byte of the frame was altered, and only there", async () => {
    const dataset = image(el("7fe00010", "OW", random(FRAMES * SIDE * SIDE * 2)), 16);
    const { reader, sealed: bytes } = await sealed(dataset);
    const large = await openLargeDataset(dataset.length, EXPLICIT, (start, end) => reader.read(start, end));
    bytes[bytes.length - 100]! ^= 1;
    await decodeFrame(large!, EXPLICIT, 0, loadWasmFromDisk);
    await expect(decodeFrame(large!, EXPLICIT, 6, loadWasmFromDisk)).rejects.toThrow("altered");
  });
});

describe("a large encapsulated instance", () => {
  const fragments = Array.from({ length: FRAMES }, () => random(300_000));
  const offsets = Uint32Array.from(fragments, (_, i) => i * 300_008);

  it("gives each frame by its offset", async () => {
    const dataset = image(encapsulated(new Uint8Array(offsets.buffer), fragments), 8);
    const { reader } = await sealed(dataset);
    const large = await openLargeDataset(dataset.length, JPEG, (start, end) => reader.read(start, end));
    for (const frame of [3, 0, 6]) {
      expect(Buffer.compare(await encapsulatedFrame(large!, FRAMES, frame), fragments[frame]!)).toBe(0);
    }
  });

  it("without an offset table is read whole", async () => {
    const dataset = image(encapsulated(new Uint8Array(0), fragments), 8);
    const { reader } = await sealed(dataset);
    const large = await openLargeDataset(dataset.length, JPEG, (start, end) => reader.read(start, end));
    expect(await framesCanBeFound(large!, imagePixels(large!))).toBe(false);
  });
});
