/** What a dataset carries instead of pixels: a PDF (PS3.3 C.24.2), or a video's bit stream (PS3.5 8.2.5 to 8.2.8). */
import { type Bytes, concat } from "../lib/bytes.ts";
import type { Dataset } from "../lib/dataset.ts";
import { PageError } from "../lib/errors.ts";

export function encapsulatedDocument(dataset: Dataset): Bytes {
  const fragments = dataset.element("x7fe00010")?.fragments;
  if (fragments) return concat(...fragments.map((f) => dataset.bytes.subarray(f.position, f.position + f.length)));
  const document = dataset.value("x00420011");
  if (document.length === 0) throw new PageError("cannot_draw", "no document");
  return document.slice();
}
