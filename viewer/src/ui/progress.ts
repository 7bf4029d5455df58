/** How many images are here, whether that is all, and by whose word: for the person, and exactly for their doctor. */
import { moment } from "../lib/format.ts";
import type { Manifest } from "../lib/manifest.ts";
import { isGrowing, listed } from "../lib/session.ts";
import { texts } from "../lib/texts.ts";
import { h } from "./dom.ts";

const words = texts.study;
const CLOCK_MAY_DIFFER_MS = 3_600_000; // a box's clock that is further ahead is wrong, and what it says not worth saying

export class Progress {
  private readonly sentence = h("p", { "data-testid": "progress", role: "status", class: "progress" });
  private readonly bar = h("progress", { "aria-hidden": "true", hidden: true });
  private readonly missing = h("p", { class: "small more" });
  private readonly added = h("p", { class: "small more" });
  private readonly exact = h("p", { "data-testid": "verdict" });
  private readonly forDoctors = h("details", { class: "small", hidden: true });
  readonly elements: readonly HTMLElement[];

  constructor() {
    this.forDoctors.append(h("summary", {}, words.exact), this.exact);
    this.elements = [this.sentence, this.bar, this.missing, this.added, this.forDoctors];
    this.say(texts.loading);
  }

  say(text: string): void {
    this.sentence.textContent = text;
  }

  update(manifest: Manifest): void {
    const here = listed(manifest);
    const growing = isGrowing(manifest);
    this.say(progressSentence(manifest, here));
    this.sentence.dataset.state = manifest.state;
    this.bar.hidden = !growing;
    this.bar.max = Math.max(1, manifest.received);
    this.bar.value = here;
    this.missing.textContent = !growing && manifest.verdict?.missing ? words.missingNext : "";
    this.added.textContent = growing ? "" : lastAdded(manifest);
    this.exact.textContent = manifest.source.charAt(0).toUpperCase() + manifest.source.slice(1);
    this.forDoctors.hidden = growing || !manifest.source;
  }
}

export function progressSentence({ state, received, verdict }: Manifest, here: number): string {
  const expected = verdict?.expected ?? 0;
  if (state === "arriving") return words.arriving(here, Math.max(received, expected));
  if (here < received) return words.late(here, received);
  if (verdict?.missing) return words.missing(here, verdict.missing, expected);
  if (state === "quiet") return words.quiet(here);
  return words.complete(here, expected, words.byWhom[verdict?.source ?? ""] ?? "");
}

/** Whoever comes back to the page learns by this whether there is more than last time: nothing is kept on the phone. */
function lastAdded(manifest: Manifest): string {
  const added = Math.max(0, ...manifest.studies.map((study) => study.added));
  const isPlausible = added > 0 && added * 1000 < Date.now() + CLOCK_MAY_DIFFER_MS;
  return isPlausible ? words.added(moment(added)) : "";
}
