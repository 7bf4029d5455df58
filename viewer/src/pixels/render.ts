/** Decoded frames, and how they become the pixels of a canvas. Small: the page itself loads it. */
import type { Window } from "./image.ts";
import { type GrayFrame, renderGray } from "./window.ts";

export interface ColourFrame {
  readonly kind: "colour";
  readonly columns: number;
  readonly rows: number;
  readonly aspect: number;
  readonly rgba: Uint8ClampedArray<ArrayBuffer>;
}

export type Frame = GrayFrame | ColourFrame;

/** RGBA into `out`; a gray frame with its own window unless another is given. */
export function renderInto(out: Uint8ClampedArray, frame: Frame, window?: Window): void {
  if (frame.kind === "colour") out.set(frame.rgba);
  else renderGray(frame, window, out);
}

export function render(frame: Frame, window?: Window): Uint8ClampedArray<ArrayBuffer> {
  if (frame.kind === "colour") return frame.rgba;
  const rgba = new Uint8ClampedArray(frame.columns * frame.rows * 4);
  renderGray(frame, window, rgba);
  return rgba;
}
