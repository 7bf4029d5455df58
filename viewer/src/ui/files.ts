/** The list of what is no picture: reports, documents, videos, plans. Everything can be saved; nothing is hidden. */
import { codeOf } from "../lib/errors.ts";
import { bytes } from "../lib/format.ts";
import { fileKind, type Kind } from "../lib/kinds.ts";
import type { Loader } from "../lib/loader.ts";
import type { Instance, Manifest, Series } from "../lib/manifest.ts";
import { noticeFor, texts } from "../lib/texts.ts";
import { h, icon } from "./dom.ts";
import { dicomFile, documentBlob, saveBlob } from "./save.ts";

const words = texts.study;
const KEEP_URL_MS = 600_000;

export class FileList {
  readonly element = h("section", { class: "files" });
  private readonly list = h("ul", { class: "file-list" });
  private readonly shown = new Map<string, HTMLElement>();
  private readonly urls: string[] = [];
  private readonly loader: Loader;

  constructor(loader: Loader) {
    this.loader = loader;
    this.element.append(h("h2", {}, words.otherFiles), h("p", {}, words.otherFilesLead), this.list);
    this.element.hidden = true;
  }

  /** `isNew`: what has come after the others is marked. */
  update(manifest: Manifest, isNew: (instance: Instance) => boolean): void {
    for (const study of manifest.studies) {
      for (const series of study.series) for (const instance of series.instances) this.add(series, instance, isNew);
    }
    this.element.hidden = this.shown.size === 0;
  }

  close(): void {
    for (const url of this.urls) URL.revokeObjectURL(url);
  }

  /** Brings a file to where it can be seen. */
  show(instance: Instance): void {
    const item = this.shown.get(instance.uid);
    item?.scrollIntoView({ block: "center" });
    item?.querySelector("button")?.focus({ preventScroll: true });
  }

  private add(series: Series, instance: Instance, isNew: (instance: Instance) => boolean): void {
    const kind = fileKind(instance);
    if (!kind || this.shown.has(instance.uid)) return;
    const mark = isNew(instance) ? [h("span", { class: "new", "data-testid": "new-mark" }, texts.news.all)] : [];
    const label = h(
      "span",
      { class: "label" },
      h("span", { class: "name" }, texts.kinds[kind]),
      h("span", { class: "detail" }, [series.description, bytes(instance.size)].filter(Boolean).join(" · ")),
      ...mark,
    );
    const said = h("div", { class: "file-said", role: "status" });
    const head = h("div", { class: "file-head" }, icon(kind === "video" ? "play" : "file"), label);
    const buttons = h("div", { class: "buttons" }, ...this.buttons(instance, kind, said));
    const attributes = { "data-testid": "file-item", "data-uid": instance.uid, "data-kind": kind };
    const item = h("li", attributes, head, buttons, said);
    this.shown.set(instance.uid, item);
    this.list.append(item);
  }

  /** What the person can use comes first; the file for a doctor is always there. */
  private buttons(instance: Instance, kind: Kind, said: HTMLElement): HTMLElement[] {
    const dicom = kind === "pdf" ? words.downloadDicom : words.download;
    const save = button(dicom, "file-download", said, () => this.saveDicom(instance));
    if (kind === "pdf") {
      const open = button(words.openPdf, "file-open", said, () => this.openPdf(instance, said));
      return [open, button(words.downloadPdf, "file-pdf", said, () => this.savePdf(instance)), save];
    }
    if (kind === "video") return [button(words.play, "file-play", said, () => this.play(instance, said)), save];
    return [save];
  }

  private async savePdf(instance: Instance): Promise<void> {
    saveBlob(await documentBlob(this.loader, instance), `${fileName(instance)}.pdf`);
  }

  private async saveDicom(instance: Instance): Promise<void> {
    saveBlob(await dicomFile(this.loader, instance), `${fileName(instance)}.dcm`);
  }

  /** A link to tap, not a window opened by program: browsers block those after a wait. */
  private async openPdf(instance: Instance, said: HTMLElement): Promise<void> {
    const href = this.url(await documentBlob(this.loader, instance));
    said.replaceChildren(h("a", { href, target: "_blank", rel: "noopener" }, words.openPdf));
    said.querySelector("a")?.click();
  }

  private async play(instance: Instance, said: HTMLElement): Promise<void> {
    const src = this.url(await documentBlob(this.loader, instance));
    const video = h("video", { src, controls: true, playsinline: true, "data-testid": "file-video" });
    video.addEventListener("error", () => {
      said.replaceChildren(h("p", { "data-testid": "message" }, words.cannotPlay));
    });
    said.replaceChildren(video);
    await video.play().catch(() => {});
  }

  private url(blob: Blob): string {
    const url = URL.createObjectURL(blob);
    this.urls.push(url);
    setTimeout(() => URL.revokeObjectURL(url), KEEP_URL_MS);
    return url;
  }
}

function fileName(instance: Instance): string {
  return instance.uid.replace(/[^0-9.]/g, "") || "file";
}

/** A button that is busy while its work runs, and says what went wrong in `said`. */
function button(label: string, testid: string, said: HTMLElement, work: () => Promise<void>): HTMLButtonElement {
  const element = h("button", { "data-testid": testid, class: "quiet" }, label);
  element.addEventListener("click", async () => {
    element.disabled = true;
    said.replaceChildren();
    try {
      await work();
    } catch (error) {
      const { title, next } = noticeFor(codeOf(error));
      said.replaceChildren(h("p", { "data-testid": "message" }, `${title}. ${next}`));
    } finally {
      element.disabled = false;
    }
  });
  return element;
}
