/** Full-screen viewer of one series: which image is shown, and everything that changes it. */
import { codeOf } from "../lib/errors.ts";
import { key, type Loader, URGENCY } from "../lib/loader.ts";
import type { Instance } from "../lib/manifest.ts";
import type { DrawableFrame } from "../lib/messages.ts";
import type { Slot } from "../lib/slots.ts";
import { noticeFor, texts } from "../lib/texts.ts";
import { Cine } from "./cine.ts";
import { Contrast } from "./contrast.ts";
import { h, icon } from "./dom.ts";
import { listenToGestures } from "./gestures.ts";
import { dicomFile, saveBlob } from "./save.ts";
import { Stage } from "./stage.ts";

const words = texts.viewer;
const AHEAD = 8; // images decoded before they are asked for, in the direction of travel
const BEHIND = 3;

export interface ViewerOptions {
  readonly patient: string;
  readonly study: string;
  readonly name: string;
  closed(): void;
}

export class Viewer {
  readonly element: HTMLElement;
  private readonly stage = new Stage();
  private readonly contrast = new Contrast(() => this.redraw());
  private readonly cine = new Cine(() => this.playNext());
  private readonly position = h("output", { "data-testid": "position", class: "position" });
  private readonly slider = h("input", { type: "range", min: 1, "data-testid": "slider", "aria-label": words.slider });
  private readonly message = h("div", { class: "stage-message", role: "alert" });
  private readonly travel = h("div", { class: "travel" });
  private readonly help = h("p", { class: "help small" });
  private readonly brightness = h("button", { "aria-pressed": "false", "data-testid": "brightness", class: "tool" });
  private slots: readonly Slot[] = [];
  private index = 0;
  private direction = 1;
  private fraction = 0;
  private shown: DrawableFrame | undefined;
  private isClosed = false;
  private brightnessMode = false;

  constructor(
    private readonly loader: Loader,
    private readonly options: ViewerOptions,
  ) {
    this.element = h("section", { class: "viewer", role: "dialog", "aria-modal": "true", "aria-label": options.name });
    this.stage.element.append(this.message, this.position);
    this.element.append(this.head(), this.stage.element, this.controls());
    this.listen();
    // The phone's own Back then closes the viewer; it would leave the page, and the slip be scanned again.
    history.pushState({ viewer: true }, "");
    addEventListener("popstate", this.onPop);
    addEventListener("keydown", this.onKey); // wherever the focus went: a click on the picture takes it away
  }

  /** Series grow while they are looked at: the image shown stays the one shown. */
  update(slots: readonly Slot[]): void {
    const current = this.slots[this.index];
    const at = slots.findIndex(({ instance, frame }) => instance === current?.instance && frame === current.frame);
    this.slots = slots;
    this.slider.max = String(slots.length);
    this.cine.button.hidden = slots.length < 2;
    this.sayHelp();
    void this.go(at >= 0 ? at : Math.min(this.index, slots.length - 1), at < 0);
  }

  /** Goes to an image of the series, as if the person had scrolled there. */
  show(instance: Instance): void {
    const at = this.slots.findIndex((slot) => slot.instance === instance);
    if (at >= 0) this.jump(at);
  }

  focus(): void {
    this.element.querySelector("button")?.focus();
  }

  close(): void {
    if (this.isClosed) return;
    this.isClosed = true;
    this.cine.stop();
    this.stage.close();
    this.loader.cancelAhead(new Set());
    removeEventListener("popstate", this.onPop);
    removeEventListener("keydown", this.onKey);
    this.element.remove();
    this.options.closed();
  }

  private readonly onPop = () => this.close();

  private head(): HTMLElement {
    const back = h("button", { class: "tool", "aria-label": words.back, "data-testid": "back" }, icon("back"));
    back.addEventListener("click", () => history.back());
    const who = h(
      "div",
      { class: "who" },
      h("strong", {}, this.options.patient),
      h("span", { class: "small" }, this.options.study || this.options.name),
    );
    const save = h("button", { class: "tool", "aria-label": words.save, "data-testid": "save-image" }, icon("save"));
    save.addEventListener("click", () => void this.save());
    return h("header", { class: "viewer-head" }, back, who, save);
  }

  private controls(): HTMLElement {
    const step = (name: string, label: string, by: number) => {
      const attributes = { class: "tool", "aria-label": label, "data-testid": name, click: () => this.step(by) };
      return h("button", attributes, icon(by < 0 ? "previous" : "next"));
    };
    const reset = h(
      "button",
      { class: "tool", "data-testid": "reset", "aria-label": words.reset, click: () => this.reset() },
      icon("reset"),
    );
    this.brightness.append(icon("brightness"), words.brightness);
    this.travel.append(step("prev-image", words.previous, -1), this.slider, step("next-image", words.next, 1));
    const tools = h("div", { class: "tools" }, this.brightness, this.contrast.select, reset, this.cine.button);
    const warning = h("p", { class: "warning small" }, texts.study.notForDiagnosis);
    return h("footer", { class: "viewer-foot" }, this.travel, tools, this.help, warning);
  }

  private listen(): void {
    this.slider.addEventListener("input", () => this.jump(Number(this.slider.value) - 1));
    this.brightness.addEventListener("click", () => this.toggleBrightness());
    listenToGestures(
      this.stage.element,
      {
        brightnessMode: () => this.brightnessMode,
        panMode: () => this.stage.zoomed,
        scroll: (images) => this.scrollBy(images),
        brightness: (dx, dy) => this.contrast.drag(dx, dy),
        zoom: (...change) => this.stage.transform(...change),
        reset: () => this.reset(),
      },
      // A long series is gone through in about two screen heights, a short one image by image.
      () => Math.min(28, Math.max(5, (this.stage.element.clientHeight * 2) / Math.max(1, this.slots.length))),
    );
  }

  private toggleBrightness(): void {
    this.brightnessMode = !this.brightnessMode;
    this.brightness.setAttribute("aria-pressed", String(this.brightnessMode));
    this.sayHelp();
  }

  private sayHelp(): void {
    const scroll = this.slots.length > 1 ? words.scrollHelp : words.singleHelp;
    this.help.textContent = this.brightnessMode ? words.brightnessHelp : scroll;
  }

  private readonly onKey = (event: KeyboardEvent): void => {
    if (event.target instanceof HTMLInputElement || event.target instanceof HTMLSelectElement) {
      if (event.key !== "Escape") return;
    }
    const steps: Record<string, () => void> = {
      ArrowDown: () => this.step(1),
      ArrowRight: () => this.step(1),
      ArrowUp: () => this.step(-1),
      ArrowLeft: () => this.step(-1),
      PageDown: () => this.step(10),
      PageUp: () => this.step(-10),
      Home: () => this.jump(0),
      End: () => this.jump(this.slots.length - 1),
      "+": () => this.stage.transform(1.25, 0, 0),
      "-": () => this.stage.transform(0.8, 0, 0),
      Escape: () => history.back(),
    };
    const action = steps[event.key];
    if (!action) return;
    event.preventDefault();
    action();
  };

  private scrollBy(images: number): void {
    this.fraction += images;
    const whole = Math.trunc(this.fraction);
    this.fraction -= whole;
    if (whole !== 0) this.step(whole);
  }

  private step(by: number): void {
    this.jump(this.index + by);
  }

  /** What a person does: it stops the film. */
  private jump(index: number): void {
    this.cine.stop();
    void this.go(Math.min(this.slots.length - 1, Math.max(0, index)));
  }

  /** Shows image `index`, at once if it is decoded, else as soon as it is. */
  private go(index: number, anew = false): Promise<void> | undefined {
    const slot = this.slots[index];
    if (!slot) return undefined;
    const same = index === this.index && this.shown !== undefined && !anew;
    if (index !== this.index) this.direction = Math.sign(index - this.index);
    this.index = index;
    this.label(slot);
    this.prefetch();
    if (same) return undefined;
    const held = this.loader.held(slot.instance, slot.frame);
    if (held) {
      this.drawn(slot, held);
      return undefined;
    }
    this.state("loading", slot);
    return this.loader.frame(slot.instance, slot.frame, URGENCY.looking).then(
      (drawable) => this.isCurrent(slot) && this.drawn(slot, drawable),
      (error) => this.isCurrent(slot) && this.failed(slot, error),
    ) as Promise<void>;
  }

  private isCurrent(slot: Slot): boolean {
    const current = this.slots[this.index];
    return !this.isClosed && current?.instance === slot.instance && current.frame === slot.frame;
  }

  private label(slot: Slot): void {
    const [n, all] = [this.index + 1, this.slots.length];
    this.position.textContent = words.position(n, all);
    this.slider.value = String(n);
    this.travel.hidden = all < 2;
    this.stage.canvas.setAttribute("aria-label", words.image(n, all, this.options.name));
    this.cine.multiFrame = slot.instance.frames > 1;
  }

  private drawn(slot: Slot, drawable: DrawableFrame): void {
    this.shown = drawable;
    this.message.replaceChildren();
    this.contrast.show(drawable.frame);
    this.brightness.disabled = drawable.frame.kind !== "gray";
    this.cine.frameMs = drawable.frameMs;
    this.redraw();
    this.state("drawn", slot);
  }

  private failed(slot: Slot, error: unknown): void {
    this.shown = undefined;
    this.stage.clear();
    const { title, next } = noticeFor(codeOf(error));
    const again = h("button", { class: "quiet", "data-testid": "retry" }, texts.retry);
    again.addEventListener("click", () => this.go(this.index, true));
    const said = h("div", { "data-testid": "message" }, h("strong", {}, title), h("p", {}, next));
    this.message.replaceChildren(said, again);
    this.state("failed", slot);
  }

  private state(state: "loading" | "drawn" | "failed", slot: Slot): void {
    const { dataset } = this.stage.canvas;
    dataset.uid = slot.instance.uid;
    dataset.frame = String(slot.frame);
    dataset.state = state;
    this.stage.element.classList.toggle("loading", state === "loading");
    if (state === "loading") this.message.replaceChildren();
  }

  private redraw(): void {
    if (!this.shown) return;
    this.contrast.show(this.shown.frame);
    this.stage.draw(this.shown.frame, this.contrast.window);
  }

  private reset(): void {
    this.stage.reset();
    this.contrast.reset();
  }

  private prefetch(): void {
    const wanted: Slot[] = [];
    for (let n = 1; n <= AHEAD; n++) {
      const ahead = this.slots[this.index + n * this.direction];
      const behind = n <= BEHIND ? this.slots[this.index - n * this.direction] : undefined;
      for (const slot of [ahead, behind]) if (slot) wanted.push(slot);
    }
    const current = this.slots[this.index]!;
    this.loader.cancelAhead(new Set([current, ...wanted].map(({ instance, frame }) => key(instance, frame))));
    // The worker takes the newest first, so the nearest is asked for last.
    for (const { instance, frame } of wanted.reverse()) {
      if (!this.loader.held(instance, frame)) this.loader.frame(instance, frame, URGENCY.ahead).catch(() => {});
    }
  }

  /** The next image of the film: within a multi-frame instance, else through the series; round and round. */
  private async playNext(): Promise<void> {
    const current = this.slots[this.index];
    if (!current) return;
    let next = (this.index + 1) % this.slots.length;
    const leaves = this.slots[next]?.instance !== current.instance;
    if (current.instance.frames > 1 && leaves) next = this.index - current.frame;
    await this.go(next);
  }

  private async save(): Promise<void> {
    const slot = this.slots[this.index];
    if (!slot) return;
    try {
      saveBlob(await dicomFile(this.loader, slot.instance), `${slot.instance.uid}.dcm`);
    } catch (error) {
      this.help.textContent = noticeFor(codeOf(error)).title;
    }
  }
}
