/** Which window applies: the image's own, one of the modality's presets, or what the person dragged. */

import { texts } from "../lib/texts.ts";
import type { Window } from "../pixels/image.ts";
import type { Frame } from "../pixels/render.ts";
import { fullWindow, type GrayFrame, initialWindow, modalityValue } from "../pixels/window.ts";
import { h } from "./dom.ts";

const words = texts.viewer;
const DRAG_FOR_RANGE_PX = 300; // a drag this long moves the window by twice its width, at most through all values

export class Contrast {
  readonly select = h("select", { "aria-label": words.window, "data-testid": "presets" });
  private frame: GrayFrame | undefined;
  /** Nothing: each image opens with what its file says. */
  private chosen: Window | undefined;
  private shownPresets = "";

  constructor(private readonly changed: () => void) {
    this.select.addEventListener("change", () => this.choose(this.select.value));
  }

  get window(): Window | undefined {
    return this.chosen;
  }

  /** Presets belong to the frame that is shown; the chosen window stays while the person scrolls. */
  show(frame: Frame): void {
    this.frame = frame.kind === "gray" ? frame : undefined;
    this.select.disabled = !this.frame;
    const names = this.presets().map(({ name }, index) => name || words.preset(index + 1));
    const options = JSON.stringify([names, this.chosen?.name === CUSTOM]);
    if (options === this.shownPresets) return;
    this.shownPresets = options;
    this.select.replaceChildren(
      option("auto", words.automatic),
      ...names.map((name, index) => option(`${index}`, name)),
      option("full", words.fullRange),
      ...(this.chosen?.name === CUSTOM ? [option("custom", words.custom)] : []),
    );
    if (this.chosen?.name === CUSTOM) this.select.value = "custom";
  }

  drag(dx: number, dy: number): void {
    const { frame } = this;
    if (!frame) return;
    const from = this.chosen ?? initialWindow(frame);
    const range = Math.abs(modalityValue(frame.high, frame) - modalityValue(frame.low, frame)) || 1;
    // In proportion to the window: a narrow one needs a fine hand.
    const step = Math.min(range, from.width * 2) / DRAG_FOR_RANGE_PX;
    const least = Math.min(1, range / 1000);
    this.chosen = {
      center: from.center + dy * step,
      width: Math.max(from.shape === "LINEAR" ? 1 : least, from.width + dx * step),
      shape: from.shape,
      name: CUSTOM,
    };
    this.changed();
  }

  reset(): void {
    this.chosen = undefined;
    this.select.value = "auto";
    this.changed();
  }

  private presets(): readonly Window[] {
    const windows = this.frame?.windows ?? [];
    // A single window is what "Automatic" shows already.
    return windows.length > 1 ? windows : [];
  }

  private choose(value: string): void {
    if (value === "custom" || !this.frame) return;
    this.chosen =
      value === "auto" ? undefined : value === "full" ? fullWindow(this.frame) : this.presets()[Number(value)];
    this.changed();
  }
}

const CUSTOM = "\u0000custom";

function option(value: string, label: string): HTMLOptionElement {
  return h("option", { value }, label);
}
