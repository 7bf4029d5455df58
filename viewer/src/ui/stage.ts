/** The canvas and its place on the screen: one bitmap pixel for each image pixel, zoomed and moved by CSS only. */
import type { Window } from "../pixels/image.ts";
import { type Frame, renderInto } from "../pixels/render.ts";
import { h } from "./dom.ts";

const ZOOM_AT_MOST = 12;

export class Stage {
  readonly canvas = h("canvas", { "data-testid": "viewer-canvas", role: "img", class: "picture" });
  readonly element = h("div", { class: "stage" }, this.canvas);
  private readonly context = this.canvas.getContext("2d", { alpha: false });
  private bitmap: ImageData | undefined;
  private frame: Frame | undefined;
  private zoom = 1;
  private x = 0;
  private y = 0;
  private readonly observer = new ResizeObserver(() => this.place());

  constructor() {
    this.observer.observe(this.element);
  }

  get zoomed(): boolean {
    return this.zoom > 1.01;
  }

  draw(frame: Frame, window: Window | undefined): void {
    const { columns, rows } = frame;
    if (this.bitmap?.width !== columns || this.bitmap.height !== rows) {
      this.bitmap = new ImageData(columns, rows);
      this.canvas.width = columns;
      this.canvas.height = rows;
    }
    renderInto(this.bitmap.data, frame, window);
    this.context?.putImageData(this.bitmap, 0, 0);
    this.canvas.hidden = false;
    this.frame = frame;
    this.place();
  }

  /** Nothing of a frame that is not what was sent may stay on the screen. */
  clear(): void {
    this.context?.clearRect(0, 0, this.canvas.width, this.canvas.height);
    this.canvas.hidden = true;
    this.frame = undefined;
  }

  /** Zooms by `factor` about a point of the stage (CSS pixels from its middle), and moves by dx, dy. */
  transform(factor: number, aboutX: number, aboutY: number, dx = 0, dy = 0): void {
    const zoom = Math.min(ZOOM_AT_MOST, Math.max(1, this.zoom * factor));
    const actual = zoom / this.zoom;
    this.x = aboutX + (this.x - aboutX) * actual + dx;
    this.y = aboutY + (this.y - aboutY) * actual + dy;
    this.zoom = zoom;
    this.place();
  }

  reset(): void {
    this.zoom = 1;
    this.x = 0;
    this.y = 0;
    this.place();
  }

  close(): void {
    this.observer.disconnect();
  }

  /** As large as the stage allows, with the pixels' own aspect ratio. */
  private place(): void {
    const { frame } = this;
    const { clientWidth, clientHeight } = this.element;
    if (!frame || clientWidth === 0) return;
    const scale = Math.min(clientWidth / frame.columns, clientHeight / (frame.rows * frame.aspect));
    const [width, height] = [frame.columns * scale, frame.rows * frame.aspect * scale];
    const overX = Math.max(0, (width * this.zoom - clientWidth) / 2);
    const overY = Math.max(0, (height * this.zoom - clientHeight) / 2);
    this.x = Math.min(overX, Math.max(-overX, this.x));
    this.y = Math.min(overY, Math.max(-overY, this.y));
    const { style } = this.canvas;
    style.width = `${width}px`;
    style.height = `${height}px`;
    style.transform = `translate(-50%, -50%) translate(${this.x}px, ${this.y}px) scale(${this.zoom})`;
  }
}
