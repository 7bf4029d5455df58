/** From stored values to the 8 bit that are shown: modality LUT, VOI LUT, presentation (PS3.3 C.11.1, C.11.2). */
import type { Lut, Window } from "./image.ts";
import type { Values } from "./samples.ts";

const TABLE_AT_MOST = 1 << 16; // entries; beyond it a table costs more than it saves
const WHITE = 255;

export interface GrayFrame {
  readonly kind: "gray";
  readonly columns: number;
  readonly rows: number;
  readonly aspect: number;
  readonly values: Values;
  /** Smallest and largest stored value in the frame. */
  readonly low: number;
  readonly high: number;
  readonly slope: number;
  readonly intercept: number;
  readonly modalityLut: Lut | undefined;
  readonly windows: readonly Window[];
  readonly voiLut: Lut | undefined;
  readonly inverted: boolean;
}

/** C.11.2.1.2 and C.11.2.1.3, with an output from 0 to 255. */
export function windowed(x: number, window: Window): number {
  const { center: c, width: w } = window;
  if (window.shape === "SIGMOID") return WHITE / (1 + Math.exp((-4 * (x - c)) / w));
  if (window.shape === "LINEAR_EXACT") {
    if (x <= c - w / 2) return 0;
    return x > c + w / 2 ? WHITE : ((x - c) / w + 0.5) * WHITE;
  }
  if (x <= c - 0.5 - (w - 1) / 2) return 0;
  if (x > c - 0.5 + (w - 1) / 2) return WHITE;
  return ((x - (c - 0.5)) / (w - 1) + 0.5) * WHITE;
}

export function throughLut(x: number, lut: Lut): number {
  const index = Math.min(Math.max(Math.round(x) - lut.first, 0), lut.values.length - 1);
  return lut.values[index] ?? 0;
}

/** What a stored value means: Hounsfield units in a CT. */
export function modalityValue(stored: number, frame: GrayFrame): number {
  return frame.modalityLut ? throughLut(stored, frame.modalityLut) : stored * frame.slope + frame.intercept;
}

/** The window a frame opens with: its own first one, else one that spans all its values. */
export function initialWindow(frame: GrayFrame): Window {
  return frame.windows[0] ?? fullWindow(frame);
}

export function fullWindow(frame: GrayFrame): Window {
  const ends = [modalityValue(frame.low, frame), modalityValue(frame.high, frame)];
  const low = Math.min(...ends);
  const width = Math.max(1, Math.max(...ends) - low + 1);
  return { center: low + width / 2, width, shape: "LINEAR", name: "" };
}

/** Gray level 0..255 for one stored value. Without a window the frame's VOI LUT decides, or its first window. */
export function grayLevel(frame: GrayFrame, window: Window | undefined): (stored: number) => number {
  const lut = window ? undefined : frame.voiLut;
  const chosen = window ?? initialWindow(frame);
  const scale = lut ? WHITE / (2 ** lut.bits - 1) : 1;
  return (stored) => {
    const x = modalityValue(stored, frame);
    const level = Math.min(WHITE, Math.floor(lut ? throughLut(x, lut) * scale : windowed(x, chosen)));
    return frame.inverted ? WHITE - level : level;
  };
}

/** RGBA of the whole frame into `out`. */
export function renderGray(frame: GrayFrame, window: Window | undefined, out: Uint8ClampedArray): void {
  const level = grayLevel(frame, window);
  const { values, low } = frame;
  const pixels = new Uint32Array(out.buffer, out.byteOffset, values.length);
  const opaque = (gray: number) => (0xff000000 | (gray * 0x010101)) >>> 0;
  if (frame.high - low >= TABLE_AT_MOST) {
    for (let i = 0; i < values.length; i++) pixels[i] = opaque(level(values[i]!));
    return;
  }
  const table = new Uint32Array(frame.high - low + 1);
  for (let i = 0; i < table.length; i++) table[i] = opaque(level(low + i));
  for (let i = 0; i < values.length; i++) pixels[i] = table[values[i]! - low]!;
}
