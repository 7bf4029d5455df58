/** Plays a series like a film: at its own speed, or as fast as frames can be decoded. */
import { texts } from "../lib/texts.ts";
import { h, icon } from "./dom.ts";

const DEFAULT_MS = 100;
const SHORTEST_MS = 16; // no screen shows more

export class Cine {
  readonly button = h("button", { class: "tool", "data-testid": "play", hidden: true });
  /** From the file; 0 where it does not say. */
  frameMs = 0;
  multiFrame = false;
  private playing = false;

  constructor(private readonly next: () => Promise<void>) {
    this.button.addEventListener("click", () => (this.playing ? this.stop() : void this.play()));
    this.label();
  }

  stop(): void {
    this.playing = false;
    this.label();
  }

  private async play(): Promise<void> {
    this.playing = true;
    this.label();
    while (this.playing) {
      const started = performance.now();
      await this.next();
      const pause = Math.max(SHORTEST_MS, this.frameMs || DEFAULT_MS) - (performance.now() - started);
      await new Promise((resolve) => setTimeout(resolve, Math.max(0, pause)));
    }
  }

  private label(): void {
    const { play, pause } = texts.viewer;
    this.button.replaceChildren(icon(this.playing ? "pause" : "play"));
    this.button.setAttribute("aria-label", this.playing ? pause : play);
  }
}
