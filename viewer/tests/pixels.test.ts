/** Windows, RLE, bits, palettes and functional groups, on values made by hand. */
import { createRequire } from "node:module";
import { describe, expect, it } from "vitest";
import { concat } from "../src/lib/bytes.ts";
import { parseDataset } from "../src/lib/dataset.ts";
import { markRgb } from "../src/pixels/codecs.ts";
import { decodeFrame } from "../src/pixels/decode.ts";
import { type ImagePixels, presentation, type Window } from "../src/pixels/image.ts";
import { inverseDct, ZIGZAG } from "../src/pixels/jpeg12-dct.ts";
import { toRgba } from "../src/pixels/photometric.ts";
import { render } from "../src/pixels/render.ts";
import { decodeRle } from "../src/pixels/rle.ts";
import { readBits, storedValues } from "../src/pixels/samples.ts";
import { fullWindow, type GrayFrame, windowed } from "../src/pixels/window.ts";
import { el, group, sequence, words } from "./elements.ts";
import { loadWasmFromDisk, realFile, splitPart10 } from "./real-files.ts";

const EXPLICIT = "1.2.840.10008.1.2.1";

function window(center: number, width: number, shape: Window["shape"] = "LINEAR"): Window {
  return { center, width, shape, name: "" };
}

function gray(values: number[], more: Partial<GrayFrame> = {}): GrayFrame {
  return {
    kind: "gray",
    columns: values.length,
    rows: 1,
    aspect: 1,
    values: Int16Array.from(values),
    low: Math.min(...values),
    high: Math.max(...values),
    slope: 1,
    intercept: 0,
    modalityLut: undefined,
    windows: [],
    voiLut: undefined,
    inverted: false,
    ...more,
  };
}

function levels(frame: GrayFrame, chosen?: Window): number[] {
  return [...render(frame, chosen)].filter((_, i) => i % 4 === 0);
}

describe("window", () => {
  it("is the formula of PS3.3 C.11.2.1.2.1", () => {
    // The standard's own example: c=2048, w=4096 goes from 0 to 4095.
    const w = window(2048, 4096);
    expect([0, 2047.5, 4095].map((x) => windowed(x, w))).toEqual([0, 127.5, 255]);
    expect(windowed(-1, w)).toBe(0);
    expect(windowed(4096, w)).toBe(255);
  });

  it("of width 1 is a threshold", () => {
    const w = window(0, 1);
    expect([-1, -0.5, -0.4, 0].map((x) => windowed(x, w))).toEqual([0, 0, 255, 255]);
  });

  it("is exact or sigmoid where the file says so", () => {
    const exact = window(100, 200, "LINEAR_EXACT");
    expect([0, 50, 100, 200, 201].map((x) => windowed(x, exact))).toEqual([0, 63.75, 127.5, 255, 255]);
    expect(windowed(100, window(100, 200, "SIGMOID"))).toBe(127.5);
  });

  it("applies to rescaled values", () => {
    expect(levels(gray([0, 1024, 2048], { slope: 1, intercept: -1024 }), window(0.5, 2049))).toEqual([0, 127, 255]);
  });

  it("spans all values where the file has none", () => {
    const frame = gray([-5, 0, 5]);
    expect(levels(frame)).toEqual([0, 127, 255]);
    expect(levels(frame, fullWindow(frame))).toEqual([0, 127, 255]);
  });

  it("is turned round for MONOCHROME1", () => {
    expect(levels(gray([0, 255], { inverted: true }))).toEqual([255, 0]);
  });

  it("gives way to a VOI LUT, and takes a modality LUT before", () => {
    const lut = { first: 10, bits: 8, values: Uint16Array.of(0, 100, 255) };
    expect(levels(gray([9, 10, 11, 12, 13], { voiLut: lut }))).toEqual([0, 0, 100, 255, 255]);
    expect(levels(gray([10, 11, 12], { modalityLut: lut }), window(127.5 + 0.5, 256))).toEqual([0, 100, 255]);
  });

  it("is the same with a table and without", () => {
    const values = Int32Array.from([-70_000, -3, 0, 9, 70_000]);
    const wide = gray([...values], { values, low: -70_000, high: 70_000 });
    const narrow = gray([-3, 0, 9]);
    expect(levels(wide, window(0, 20)).slice(1, 4)).toEqual(levels(narrow, window(0, 20)));
  });
});

describe("RLE", () => {
  const header = (...offsets: number[]) => {
    const bytes = new Uint8Array(64);
    const view = new DataView(bytes.buffer);
    view.setUint32(0, offsets.length, true);
    offsets.forEach((offset, i) => {
      view.setUint32(4 + i * 4, offset, true);
    });
    return bytes;
  };

  it("joins the bytes of 16 bit samples, the high one first", () => {
    const high = Uint8Array.of(0xfd, 1); // 4 times 1
    const low = Uint8Array.of(3, 10, 20, 30, 40); // 4 as they are
    const encoded = concat(header(64, 66), high, low);
    expect([...new Uint16Array(decodeRle(encoded, 4, 1, 2).buffer)]).toEqual([266, 276, 286, 296]);
  });

  it("ignores the no-op code and padding", () => {
    const encoded = concat(header(64), Uint8Array.of(0x80, 1, 5, 6, 0x80, 0));
    expect([...decodeRle(encoded, 2, 1, 1)]).toEqual([5, 6]);
  });

  it("never writes beyond the frame", () => {
    const encoded = concat(header(64), Uint8Array.of(0x81, 7, 0x81, 7));
    expect([...decodeRle(encoded, 3, 1, 1)]).toEqual([7, 7, 7]);
  });

  it("refuses another number of segments", () => {
    expect(() => decodeRle(header(64, 64), 1, 1, 1)).toThrow("RLE");
    expect(() => decodeRle(new Uint8Array(3), 1, 1, 1)).toThrow("RLE");
  });
});

describe("stored values", () => {
  const image = (more: Partial<ImagePixels>): ImagePixels => ({
    rows: 1,
    columns: 1,
    frames: 1,
    samples: 1,
    photometric: "MONOCHROME2",
    planar: false,
    bitsAllocated: 16,
    bitsStored: 12,
    highBit: 11,
    signed: false,
    ...more,
  });

  it("lose what stands above their high bit", () => {
    expect([...storedValues(Uint16Array.of(0xf123), image({}))]).toEqual([0x123]);
  });

  it("keep their sign", () => {
    expect([...storedValues(Uint16Array.of(0x0fff, 0x07ff), image({ signed: true }))]).toEqual([-1, 2047]);
    expect([...storedValues(Uint16Array.of(0xffff), image({ signed: true, bitsStored: 16, highBit: 15 }))]).toEqual([
      -1,
    ]);
  });

  it("may stand at the top of their words", () => {
    expect([...storedValues(Uint16Array.of(0x1230), image({ highBit: 15 }))]).toEqual([0x123]);
  });

  it("of one bit are read from the least significant", () => {
    expect([...readBits(Uint8Array.of(0b10110001, 1), 9, 0)]).toEqual([1, 0, 0, 0, 1, 1, 0, 1, 1]);
    expect([...readBits(Uint8Array.of(0b10110001), 3, 4)]).toEqual([1, 1, 0]);
  });
});

describe("colour", () => {
  const image = (photometric: string, columns: number): ImagePixels => ({
    rows: 1,
    columns,
    frames: 1,
    samples: 3,
    photometric,
    planar: false,
    bitsAllocated: 8,
    bitsStored: 8,
    highBit: 7,
    signed: false,
  });

  it("YBR_FULL of gray is gray, of red is red", async () => {
    const none = await parseDataset(el("00080060", "CS", "OT"), EXPLICIT);
    const samples = { values: Uint8Array.of(100, 128, 128, 76, 85, 255), planar: false, rgb: false };
    expect([...toRgba(samples, image("YBR_FULL", 2), none)]).toEqual([100, 100, 100, 255, 254, 0, 0, 255]);
  });

  it("a segmented palette is a discrete and a linear run", async () => {
    const table = words(0, 2, 0, 0x1000, 1, 4, 0x5000);
    const palettes = ["1", "2", "3"].flatMap((n) => [el(`0028110${n}`, "US", words(6, 0, 16))]);
    const data = ["1", "2", "3"].map((n) => el(`0028122${n}`, "OW", table));
    const dataset = await parseDataset(concat(...palettes, ...data), EXPLICIT);
    const samples = { values: Uint8Array.of(0, 1, 2, 3, 5, 200), planar: false, rgb: false };
    const reds = [...toRgba(samples, { ...image("PALETTE COLOR", 6), samples: 1 }, dataset)].filter(
      (_, i) => i % 4 === 0,
    );
    expect(reds).toEqual([0, 0x10, 0x20, 0x30, 0x50, 0x50]);
  });

  it("a JPEG without markers is marked as RGB, one with them is left alone", () => {
    const bare = Uint8Array.of(0xff, 0xd8, 0xff, 0xdb, 0, 2, 0xff, 0xda, 0, 2);
    const jfif = Uint8Array.of(0xff, 0xd8, 0xff, 0xe0, 0, 2, 0xff, 0xda, 0, 2);
    expect(markRgb(bare).length).toBe(bare.length + 16);
    expect(markRgb(jfif)).toBe(jfif);
  });
});

describe("presentation", () => {
  it("takes a frame's own group before the shared one", async () => {
    const voi = (center: string) =>
      sequence("00289132", group(el("00281050", "DS", center), el("00281051", "DS", "100")));
    const rescale = sequence("00289145", group(el("00281052", "DS", "-1024"), el("00281053", "DS", "2")));
    const dataset = await parseDataset(
      concat(
        el("00280004", "CS", "MONOCHROME2"),
        sequence("52009229", group(voi("10"), rescale)),
        sequence("52009230", group(voi("20")), group(el("00080060", "CS", "CT"))),
      ),
      EXPLICIT,
    );
    const [first, second] = [presentation(dataset, 0, false), presentation(dataset, 1, false)];
    expect(first.windows[0]?.center).toBe(20);
    expect(second.windows[0]?.center).toBe(10);
    expect([first.slope, first.intercept]).toEqual([2, -1024]);
  });

  it("reads presets with their names and pixels that are not square", async () => {
    const dataset = await parseDataset(
      concat(
        el("00280034", "IS", "2\\1"),
        el("00281050", "DS", "-600\\40"),
        el("00281051", "DS", "1500\\400"),
        el("00281055", "LO", "LUNG\\SOFT"),
      ),
      EXPLICIT,
    );
    const { windows, aspect } = presentation(dataset, 0, false);
    expect(windows.map(({ name, center }) => [name, center])).toEqual([
      ["LUNG", -600],
      ["SOFT", 40],
    ]);
    expect(aspect).toBe(2);
  });
});

describe("JPEG 12 bit", () => {
  it("walks a block in zigzag", () => {
    expect([...ZIGZAG.subarray(0, 10)]).toEqual([0, 1, 8, 16, 9, 2, 3, 10, 17, 24]);
    expect(new Set(ZIGZAG).size).toBe(64);
  });

  it("turns a DC coefficient into an even block", () => {
    const block = new Int32Array(64);
    block[0] = 80;
    const plane = new Uint16Array(64);
    inverseDct(block, plane, 0, 8, 12);
    expect(new Set(plane)).toEqual(new Set([2058]));
  });
});

describe("HTJ2K", () => {
  const file = realFile("CT_small.dcm");

  it.runIf(file)("comes out as it went in", async () => {
    const { dataset: bytes } = splitPart10(file!.path);
    const dataset = await parseDataset(bytes, EXPLICIT);
    const before = await decodeFrame(dataset, EXPLICIT, 0, loadWasmFromDisk);
    const codestream = await encodeHtj2k(dataset.value("x7fe00010"), 128, 128);
    const pixelData = concat(
      Uint8Array.of(0xe0, 0x7f, 0x10, 0, 0x4f, 0x42, 0, 0, 255, 255, 255, 255, 0xfe, 0xff, 0, 0xe0, 0, 0, 0, 0),
      Uint8Array.of(0xfe, 0xff, 0, 0xe0, ...new Uint8Array(Uint32Array.of(codestream.length).buffer)),
      codestream,
      Uint8Array.of(0xfe, 0xff, 0xdd, 0xe0, 0, 0, 0, 0),
    );
    const start = dataset.element("x7fe00010")!.dataOffset - 12;
    const htj2k = await parseDataset(concat(bytes.subarray(0, start), pixelData), "1.2.840.10008.1.2.4.201");
    const after = await decodeFrame(htj2k, "1.2.840.10008.1.2.4.201", 0, loadWasmFromDisk);
    expect(after).toEqual({ ...before, values: expect.anything() });
    expect([...render(after)]).toEqual([...render(before)]);
  });
});

async function encodeHtj2k(pixels: Uint8Array, width: number, height: number): Promise<Uint8Array> {
  const require = createRequire(import.meta.url);
  const module = await require("@cornerstonejs/codec-openjph/wasmjs")();
  const encoder = new module.HTJ2KEncoder();
  const info = { width, height, bitsPerSample: 16, componentCount: 1, isSigned: true, isUsingColorTransform: false };
  encoder.getDecodedBuffer(info).set(pixels.subarray(0, width * height * 2));
  encoder.encode();
  const encoded = encoder.getEncodedBuffer().slice();
  encoder.delete();
  return encoded.length % 2 ? concat(encoded, new Uint8Array(1)) : encoded;
}
