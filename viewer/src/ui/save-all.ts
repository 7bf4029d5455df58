/** The button that saves the whole share as one ZIP of DICOM files. */
import { codeOf } from "../lib/errors.ts";
import { bytes } from "../lib/format.ts";
import type { Loader } from "../lib/loader.ts";
import type { Manifest } from "../lib/manifest.ts";
import { noticeFor, texts } from "../lib/texts.ts";
import { h, icon } from "./dom.ts";
import { entries, saveBlob, zipStudy } from "./save.ts";

const words = texts.study;

export class SaveAll {
  readonly element: HTMLElement;
  private readonly loader: Loader;
  private readonly lead = h("p", { class: "small" });
  private readonly said = h("p", { class: "small", role: "status", "data-testid": "download-status" });
  private readonly button = h("button", { "data-testid": "download-study", class: "wide" });
  private manifest: Manifest | undefined;
  private running: AbortController | undefined;

  constructor(loader: Loader) {
    this.loader = loader;
    this.button.addEventListener("click", () => void (this.running ? this.running.abort() : this.save()));
    this.label(false);
    this.element = h("section", { class: "save-all", hidden: true }, this.button, this.lead, this.said);
  }

  update(manifest: Manifest): void {
    this.manifest = manifest;
    const all = entries(manifest);
    const size = all.reduce((sum, { instance }) => sum + instance.size, 0);
    this.lead.textContent = words.downloadAllLead(all.length, bytes(size));
    this.element.hidden = all.length === 0;
  }

  close(): void {
    this.running?.abort();
  }

  private label(running: boolean): void {
    this.button.replaceChildren(icon(running ? "close" : "save"), running ? words.cancel : words.downloadAll);
  }

  private async save(): Promise<void> {
    const manifest = this.manifest;
    if (!manifest) return;
    const running = new AbortController();
    this.running = running;
    this.label(true);
    try {
      const all = entries(manifest).length;
      this.said.textContent = words.preparing(0, all);
      const progress = (done: number) => {
        this.said.textContent = words.preparing(done, all);
      };
      const zip = await zipStudy(this.loader, manifest, progress, running.signal);
      saveBlob(zip, `images-${manifest.studies[0]?.date || "study"}.zip`);
      this.said.textContent = words.saved;
    } catch (error) {
      const { title, next } = noticeFor(codeOf(error));
      this.said.textContent = running.signal.aborted ? "" : `${title}. ${next}`;
    } finally {
      this.running = undefined;
      this.label(false);
    }
  }
}
