/** The screen of an open share: whose images, how many are here, the series, the other files, saving. */
import type { ErrorCode } from "../lib/errors.ts";
import { dicomDate, moment, personName } from "../lib/format.ts";
import { fileKind } from "../lib/kinds.ts";
import type { Loader } from "../lib/loader.ts";
import type { Manifest, Series, Study } from "../lib/manifest.ts";
import { counts, News, type Piece } from "../lib/news.ts";
import { isGrowing } from "../lib/session.ts";
import { seriesName, slotsOf } from "../lib/slots.ts";
import { noticeFor, texts } from "../lib/texts.ts";
import { Banner } from "./banner.ts";
import { h, show } from "./dom.ts";
import { FileList } from "./files.ts";
import { Progress } from "./progress.ts";
import { SaveAll } from "./save-all.ts";
import { SeriesRow } from "./series-row.ts";
import { Viewer } from "./viewer.ts";

const words = texts.study;

export class StudyScreen {
  private readonly loader: Loader;
  private readonly patient = h("h1", { class: "patient" });
  private readonly about = h("p", { class: "about" });
  private readonly progress = new Progress();
  private readonly trouble_ = h("div", { class: "trouble", role: "alert" });
  private readonly groups = h("div", { "data-testid": "series-list", class: "groups" });
  private readonly files: FileList;
  private readonly saveAll: SaveAll;
  private readonly rows = new Map<string, SeriesRow>();
  private readonly main: HTMLElement;
  private viewer: Viewer | undefined;
  private viewing = "";
  private readonly news = new News();
  private readonly banner = new Banner(
    () => this.showNews(),
    () => this.putOff(),
  );
  private scrolled = 0; // when the viewer was opened: the list comes back as it was
  private goingTo: Piece | undefined; // when the viewer has closed
  private manifest: Manifest | undefined;

  constructor(
    private readonly root: HTMLElement,
    loader: Loader,
    expiresAt: number,
  ) {
    this.loader = loader;
    this.files = new FileList(loader);
    this.saveAll = new SaveAll(loader);
    const head = h("header", { class: "study-head" }, this.patient, this.about, ...this.progress.elements);
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
    show(root, this.main, this.banner.element);
  }

  update(manifest: Manifest): void {
    this.manifest = manifest;
    this.trouble(undefined);
    this.patient.textContent = personName(manifest.patient.name) || words.unknownName;
    // Several studies have headings of their own.
    const what = manifest.studies.length > 1 ? [] : manifest.studies.map(studyLine);
    this.about.textContent = [...what, manifest.site].filter(Boolean).join(" · ");
    this.news.update(manifest);
    this.progress.update(manifest);
    this.updateGroups(manifest);
    this.files.update(manifest, (instance) => this.news.has(instance));
    this.saveAll.update(manifest);
    this.updateViewer(manifest);
    this.sayNews();
  }

  trouble(code: ErrorCode | undefined): void {
    // Before the first manifest only "on its way" and no connection can be said; a later "pending" is no news.
    if (code === "manifest_pending" && this.manifest) return;
    if (code === undefined && !this.manifest) return;
    if (code && !this.manifest) this.progress.say("");
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

  /** In the order of the page; a list that has not changed keeps the focus that is in it. */
  private updateGroups(manifest: Manifest): void {
    const focused = document.activeElement;
    this.groups.replaceChildren(...manifest.studies.map((study) => this.group(study, manifest.studies.length > 1)));
    if (focused instanceof HTMLElement && this.groups.contains(focused)) focused.focus({ preventScroll: true });
  }

  // -- what is new ----------------------------------------------------------------------------------------------------

  private sayNews(): void {
    const { untold } = this.news;
    // Said twice, however many come one by one: that some come, and then how many it were.
    const said = this.manifest && isGrowing(this.manifest) ? texts.news.arriving : this.arrived(untold);
    this.banner.say(untold.length > 0 ? said : "");
  }

  private arrived(pieces: readonly Piece[]): string {
    const what = texts.news.arrived(counts(pieces));
    const study = this.news.newStudy(pieces);
    return study ? texts.news.study(what, studyLine(study)) : what;
  }

  private showNews(): void {
    const [first] = this.news.untold;
    this.putOff();
    if (!first) return;
    if (!this.viewer) this.goTo(first);
    else if (first.series.uid === this.viewing) {
      this.viewer.show(first.instance);
      this.look(first.series);
    } else {
      this.goingTo = first;
      history.back(); // closes the viewer, as the phone's own Back does
    }
  }

  private goTo({ series, instance }: Piece): void {
    if (fileKind(instance)) this.files.show(instance);
    else this.rows.get(series.uid)?.show();
  }

  private putOff(): void {
    this.news.told();
    this.sayNews();
  }

  private look(series: Series): void {
    this.news.seen(series);
    if (this.manifest) this.updateGroups(this.manifest);
    this.sayNews();
  }

  // -- series and viewer ----------------------------------------------------------------------------------------------

  private group(study: Study, many: boolean): HTMLElement {
    const rows = study.series.flatMap((series) => {
      const slots = slotsOf(series);
      if (slots.length === 0) return [];
      return [this.row(series).update(series, slots, this.news.of(series))];
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
    this.scrolled = scrollY;
    this.viewer = new Viewer(this.loader, {
      patient: this.patient.textContent ?? "",
      study: studyLine(found.study),
      name: seriesName(found.series),
      closed: () => this.viewerClosed(),
    });
    this.main.hidden = true;
    this.viewer.element.append(this.banner.element);
    this.root.append(this.viewer.element);
    this.viewer.update(slotsOf(found.series));
    this.viewer.focus();
    this.look(found.series);
  }

  private viewerClosed(): void {
    this.viewer = undefined;
    this.root.append(this.banner.element);
    this.main.hidden = false;
    scrollTo(0, this.scrolled);
    if (this.goingTo) this.goTo(this.goingTo);
    else this.rows.get(this.viewing)?.focus();
    this.goingTo = undefined;
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
