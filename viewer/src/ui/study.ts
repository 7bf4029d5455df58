/** The screen of an open share: whose images, how many are here, the series, the other files, saving. */
import type { ErrorCode } from "../lib/errors.ts";
import { dicomDate, moment, personName } from "../lib/format.ts";
import type { Loader } from "../lib/loader.ts";
import type { Manifest, Series, Study } from "../lib/manifest.ts";
import { listed } from "../lib/session.ts";
import { seriesName, slotsOf } from "../lib/slots.ts";
import { noticeFor, texts } from "../lib/texts.ts";
import { h, show } from "./dom.ts";
import { FileList } from "./files.ts";
import { SaveAll } from "./save-all.ts";
import { SeriesRow } from "./series-row.ts";
import { Viewer } from "./viewer.ts";

const words = texts.study;

export class StudyScreen {
  private readonly loader: Loader;
  private readonly patient = h("h1", { class: "patient" });
  private readonly about = h("p", { class: "about" });
  private readonly progress = h("p", { "data-testid": "progress", role: "status", class: "progress" });
  private readonly bar = h("progress", { "aria-hidden": "true" });
  private readonly trouble_ = h("div", { class: "trouble", role: "alert" });
  private readonly groups = h("div", { "data-testid": "series-list", class: "groups" });
  private readonly files: FileList;
  private readonly saveAll: SaveAll;
  private readonly rows = new Map<string, SeriesRow>();
  private readonly main: HTMLElement;
  private viewer: Viewer | undefined;
  private viewing = "";
  private manifest: Manifest | undefined;

  constructor(
    private readonly root: HTMLElement,
    loader: Loader,
    expiresAt: number,
  ) {
    this.loader = loader;
    this.files = new FileList(loader);
    this.saveAll = new SaveAll(loader);
    const head = h("header", { class: "study-head" }, this.patient, this.about, this.progress, this.bar);
    const foot = h(
      "footer",
      { class: "small" },
      h("p", { class: "warning" }, words.notForDiagnosis),
      h("p", {}, texts.factor.expires(moment(expiresAt))),
    );
    this.main = h(
      "main",
      { class: "study" },
      head,
      this.trouble_,
      this.groups,
      this.files.element,
      this.saveAll.element,
      foot,
    );
    this.bar.hidden = true;
    this.progress.textContent = texts.loading;
    show(root, this.main);
  }

  update(manifest: Manifest): void {
    this.manifest = manifest;
    this.trouble(undefined);
    this.patient.textContent = personName(manifest.patient.name) || words.unknownName;
    this.about.textContent = [...manifest.studies.map(studyLine), manifest.site].filter(Boolean).join(" · ");
    this.updateProgress(manifest);
    this.groups.replaceChildren(...manifest.studies.map((study) => this.group(study, manifest.studies.length > 1)));
    this.files.update(manifest);
    this.saveAll.update(manifest);
    this.updateViewer(manifest);
  }

  trouble(code: ErrorCode | undefined): void {
    // Before the first manifest only "on its way" and no connection can be said; a later "pending" is no news.
    if (code === "manifest_pending" && this.manifest) return;
    if (code === undefined && !this.manifest) return;
    if (code && !this.manifest) this.progress.textContent = "";
    this.trouble_.replaceChildren(...(code ? [this.troubleLine(code)] : []));
  }

  close(): void {
    this.viewer?.close();
    this.files.close();
    this.saveAll.close();
    this.root.replaceChildren();
  }

  private troubleLine(code: ErrorCode): HTMLElement {
    const attributes = { "data-testid": "message", "data-code": code };
    if (this.manifest && code === "unreachable") return h("p", attributes, words.offline);
    if (this.manifest && code === "altered") return h("p", attributes, words.altered);
    const { title, next } = noticeFor(code);
    return h("div", attributes, h("h2", {}, title), h("p", {}, next));
  }

  private updateProgress(manifest: Manifest): void {
    const here = listed(manifest);
    const growing = manifest.state === "arriving" || here < manifest.received;
    this.progress.textContent = progressSentence(manifest, here);
    this.progress.dataset.state = manifest.state;
    this.bar.hidden = !growing;
    this.bar.max = Math.max(1, manifest.received);
    this.bar.value = here;
  }

  private group(study: Study, many: boolean): HTMLElement {
    const rows = study.series.flatMap((series) => {
      const slots = slotsOf(series);
      if (slots.length === 0) return [];
      return [this.row(series).update(series, slots)];
    });
    const title = many ? [h("h2", {}, studyLine(study) || words.series)] : [];
    return h("section", { class: "group" }, ...title, h("ul", { class: "series" }, ...rows));
  }

  private row(series: Series): SeriesRow {
    const row = this.rows.get(series.uid) ?? new SeriesRow(this.loader, () => this.open(series.uid));
    this.rows.set(series.uid, row);
    return row;
  }

  private open(seriesUid: string): void {
    const found = this.find(seriesUid);
    if (!found || !this.manifest) return;
    this.viewing = seriesUid;
    this.viewer = new Viewer(this.loader, {
      patient: this.patient.textContent ?? "",
      study: studyLine(found.study),
      name: seriesName(found.series),
      closed: () => this.viewerClosed(),
    });
    this.main.hidden = true;
    this.root.append(this.viewer.element);
    this.viewer.update(slotsOf(found.series));
    this.viewer.focus();
  }

  private viewerClosed(): void {
    this.viewer = undefined;
    this.main.hidden = false;
    this.rows.get(this.viewing)?.focus();
  }

  private updateViewer(manifest: Manifest): void {
    const found = this.find(this.viewing);
    if (this.viewer && found && manifest) this.viewer.update(slotsOf(found.series));
  }

  private find(seriesUid: string): { study: Study; series: Series } | undefined {
    for (const study of this.manifest?.studies ?? []) {
      const series = study.series.find(({ uid }) => uid === seriesUid);
      if (series) return { study, series };
    }
    return undefined;
  }
}

function studyLine(study: Study): string {
  return [study.description, dicomDate(study.date)].filter(Boolean).join(", ");
}

function progressSentence(manifest: Manifest, here: number): string {
  if (manifest.state === "arriving") return words.arriving(here, manifest.received);
  if (here < manifest.received) return words.late(here, manifest.received);
  if (manifest.state === "quiet") return words.quiet(here);
  return words.complete(here, words.sources[manifest.source] ?? manifest.source);
}
