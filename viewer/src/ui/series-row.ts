/** One series in the list: a small picture, what it is, how many images. */
import { key, type Loader, URGENCY } from "../lib/loader.ts";
import type { Series } from "../lib/manifest.ts";
import { type Slot, seriesName } from "../lib/slots.ts";
import { texts } from "../lib/texts.ts";
import { type Frame, render } from "../pixels/render.ts";
import { h } from "./dom.ts";

const THUMBNAIL_PX = 144; // twice its size on the page, for sharp screens

export class SeriesRow {
  private readonly loader: Loader;
  private readonly canvas = h("canvas", { class: "thumbnail", "aria-hidden": "true" });
  private readonly name = h("span", { class: "name" });
  private readonly detail = h("span", { class: "detail" });
  private readonly mark = h("span", { class: "new", "data-testid": "new-mark", hidden: true });
  private readonly button: HTMLButtonElement;
  private readonly item: HTMLLIElement;
  private asked = false;

  constructor(loader: Loader, open: () => void) {
    this.loader = loader;
    const label = h("span", { class: "label" }, this.name, this.detail, this.mark);
    this.button = h("button", { class: "row", "data-testid": "series-item", click: open }, this.canvas, label);
    this.item = h("li", {}, this.button);
  }

  /** `fresh`: how many of its images have come after the others. */
  update(series: Series, slots: readonly Slot[], fresh: number): HTMLLIElement {
    const name = seriesName(series);
    const modality = texts.modalities[series.modality] ?? series.modality;
    this.button.dataset.seriesUid = series.uid;
    this.name.textContent = name;
    this.detail.textContent = [modality === name ? "" : modality, texts.study.count(slots.length)]
      .filter(Boolean)
      .join(" · ");
    this.mark.hidden = fresh === 0;
    this.mark.textContent = fresh === series.instances.length ? texts.news.all : texts.news.some(fresh);
    this.loadThumbnail(slots);
    return this.item;
  }

  focus(): void {
    this.button.focus({ preventScroll: true });
  }

  /** Brings it to where it can be seen. */
  show(): void {
    this.focus();
    this.item.scrollIntoView({ block: "center" });
  }

  /** The middle image shows most; asked for once, as a series that grows need not change its face. */
  private loadThumbnail(slots: readonly Slot[]): void {
    const slot = slots[slots.length >> 1];
    if (this.asked || !slot) return;
    this.asked = true;
    this.loader
      .frame(slot.instance, slot.frame, URGENCY.thumbnail)
      .then(({ frame }) => this.draw(frame, key(slot.instance, slot.frame)))
      .catch(() => {
        this.asked = false; // the next manifest tries again
      });
  }

  private draw(frame: Frame, name: string): void {
    const { columns, rows, aspect } = frame;
    const scale = THUMBNAIL_PX / Math.max(columns, rows * aspect);
    const full = new OffscreenCanvas(columns, rows);
    full.getContext("2d")?.putImageData(new ImageData(render(frame), columns, rows), 0, 0);
    this.canvas.width = Math.max(1, Math.round(columns * scale));
    this.canvas.height = Math.max(1, Math.round(rows * aspect * scale));
    this.canvas.getContext("2d")?.drawImage(full, 0, 0, this.canvas.width, this.canvas.height);
    this.canvas.dataset.shown = name;
  }
}
