/** Every real image decodes to what dcmjs-imaging, an independent implementation, makes of it. */
import { readFileSync } from "node:fs";
import { DicomImage, NativePixelDecoder } from "dcmjs-imaging";
import { beforeAll, describe, expect, it } from "vitest";
import { parseDataset } from "../src/lib/dataset.ts";
import { decodeFrame } from "../src/pixels/decode.ts";
import { render } from "../src/pixels/render.ts";
import { loadWasmFromDisk, realFiles, splitPart10 } from "./real-files.ts";

beforeAll(() => NativePixelDecoder.initializeAsync());

describe("oracle", () => {
  for (const { name, path } of realFiles()) {
    it(name, async () => {
      let oracle: Uint8Array | undefined, why = "";
      try {
        const b = readFileSync(path);
        const log = console.log; 
        const r = new DicomImage(b.buffer.slice(b.byteOffset, b.byteOffset + b.length) as ArrayBuffer).render({ frame: 0 });
        oracle = new Uint8Array(r.pixels);
      } catch (e) { why = String((e as Error).message ?? e); }
      let mine: Uint8ClampedArray | undefined, mywhy = "", meta="";
      try {
        const s = splitPart10(path);
        const d = await parseDataset(s.dataset, s.syntax);
        meta = [s.syntax.slice(13), d.text("x00280004"), d.u16("x00280100"), d.u16("x00280101"), d.u16("x00280103")].join(" ");
        mine = render(await decodeFrame(d, s.syntax, 0, loadWasmFromDisk));
      } catch (e) { mywhy = String((e as Error).message ?? e); }
      let verdict = "";
      if (mine && oracle) {
        let max = 0, n = 0;
        for (let i = 0; i < mine.length; i++) { const d = Math.abs(mine[i]! - oracle[i]!); if (d) n++; if (d > max) max = d; }
        verdict = n ? `DIFF max ${max} n ${n}/${mine.length}` : "SAME";
        if (mine.length !== oracle.length) verdict = "SIZE";
      } else verdict = `${mine ? "drawn" : "NOT drawn: " + mywhy} / ${oracle ? "oracle drawn" : "oracle: " + why}`;
      process.stderr.write(`@@ ${verdict} | ${name} | ${meta}\n`);
    });
  }
});
