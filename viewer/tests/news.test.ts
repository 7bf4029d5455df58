/** What counts as news, and what the person is told of it. */
import { describe, expect, it } from "vitest";
import type { Instance, Manifest, Verdict } from "../src/lib/manifest.ts";
import { counts, News } from "../src/lib/news.ts";
import { en } from "../src/lib/texts.ts";
import { progressSentence } from "../src/ui/progress.ts";

const CT = "1.2.840.10008.5.1.4.1.1.2";
const REPORT = "1.2.840.10008.5.1.4.1.1.88.33";

function instance(uid: string, sopClass = CT): Instance {
  const rows = sopClass === CT ? 64 : 0;
  return { uid, sopClass, syntax: "1.2.840.10008.1.2.1", rows, columns: rows, frames: 1 } as Instance;
}

function manifest(series: Record<string, Instance[]>, more: Partial<Manifest> = {}): Manifest {
  const studies = Object.entries(series).map(([name, instances]) => {
    const [study = "", number = ""] = name.split(".");
    return { uid: study, description: study, series: [{ uid: `${study}.${number}`, instances }] };
  });
  const received = Object.values(series).flat().length;
  return { state: "quiet", received, verdict: undefined, source: "", studies, ...more } as unknown as Manifest;
}

function uids(news: News): string[] {
  return news.untold.map((piece) => piece.instance.uid);
}

const [a, b, c] = [instance("a"), instance("b"), instance("c")];
const report = instance("report", REPORT);

describe("news", () => {
  it("is what comes after all seemed to be here", () => {
    const news = new News();
    news.update(manifest({ "ct.1": [a] }));
    expect(uids(news)).toEqual([]);
    news.update(manifest({ "ct.1": [b, a], "ct.2": [c, report] }, { state: "arriving" }));
    expect(uids(news)).toEqual(["b", "c", "report"]);
    expect(counts(news.untold)).toEqual({ images: 2, documents: 1, files: 0 });
  });

  it("is not what comes while the first images still arrive", () => {
    const news = new News();
    news.update(manifest({ "ct.1": [a] }, { state: "arriving" }));
    news.update(manifest({ "ct.1": [a, b] }, { received: 3 }));
    news.update(manifest({ "ct.1": [a, b, c] }));
    expect(uids(news)).toEqual([]);
  });

  it("is told once, and stays marked until it is looked at", () => {
    const news = new News();
    news.update(manifest({ "ct.1": [a] }));
    const grown = manifest({ "ct.1": [a, b] });
    news.update(grown);
    news.told();
    expect(uids(news)).toEqual([]);
    expect(news.of(grown.studies[0]!.series[0]!)).toBe(1);
    news.seen(grown.studies[0]!.series[0]!);
    expect(news.of(grown.studies[0]!.series[0]!)).toBe(0);
  });

  it("counts only what was not told before", () => {
    const news = new News();
    news.update(manifest({ "ct.1": [a] }));
    news.update(manifest({ "ct.1": [a, report] }));
    news.told();
    news.update(manifest({ "ct.1": [a, report, b] }));
    expect(counts(news.untold)).toEqual({ images: 1, documents: 0, files: 0 });
  });

  it("knows a further study", () => {
    const news = new News();
    news.update(manifest({ "ct.1": [a] }));
    news.update(manifest({ "ct.1": [a], "mr.1": [b] }));
    expect(news.newStudy(news.untold)?.uid).toBe("mr");
    news.update(manifest({ "mr.1": [b], "ct.1": [a, c] }));
    expect(news.newStudy(news.untold)).toBeUndefined();
  });

  it("is said in words", () => {
    const said = (images: number, documents: number, files: number) => en.news.arrived({ images, documents, files });
    expect(said(12, 0, 0)).toBe("12 new images have arrived");
    expect(said(1, 0, 0)).toBe("1 new image has arrived");
    expect(said(0, 1, 0)).toBe("1 new document has arrived");
    expect(said(2, 1, 3)).toBe("2 new images, 1 new document and 3 new files have arrived");
  });
});

describe("what the page says of how many are here", () => {
  const verdict = (source: string, expected: number, missing = 0): Verdict => ({
    source,
    expected,
    missing,
    received: expected - missing,
  });
  const said = (more: Partial<Manifest>, here = more.received ?? 0) =>
    progressSentence(manifest({}, { state: "complete", ...more }), here);

  it.each([
    ["query", "530 of 530 images are here, checked with the hospital’s archive."],
    ["notification", "530 of 530 images are here, checked with the hospital’s archive."],
    ["performed-step", "530 of 530 images are here, checked with the scanner."],
    ["media-creation", "530 of 530 images are here, all that were asked for."],
    ["something newer", "530 of 530 images are here."],
  ])("names who says so: %s", (source, sentence) => {
    expect(said({ received: 530, verdict: verdict(source, 530) })).toBe(sentence);
  });

  it("does not count what nobody asked for among what was", () => {
    const more = { received: 6, verdict: { ...verdict("media-creation", 4), received: 6 } };
    expect(said(more)).toBe("4 of 4 images are here, all that were asked for, and 2 more.");
  });

  it("counts what is missing", () => {
    const missing = { state: "quiet" as const, received: 528, verdict: verdict("query", 530, 2) };
    expect(said(missing)).toBe("528 of 530 images are here. 2 have not arrived.");
    const some = { ...missing, verdict: { ...verdict("media-creation", 20, 1), received: 528 } };
    expect(said(some)).toBe("528 images are here. 1 more has not arrived.");
  });

  it("does not claim what nobody has checked", () => {
    expect(said({ state: "quiet", received: 12, verdict: verdict("quiet", 0) })).toBe(
      "12 images are here. No more have come for a while. Nobody has checked that these are all.",
    );
    expect(said({ state: "quiet", received: 1 })).toMatch(/^1 image is here\. /);
  });

  it("says how many to wait for where somebody has said", () => {
    const arriving = { state: "arriving" as const, received: 528, verdict: verdict("query", 530, 2) };
    expect(said(arriving)).toBe("528 of 530 images are here, more are coming");
    expect(said({ ...arriving, verdict: undefined })).toBe("528 images are here, more may be coming");
  });

  it("knows images that are at the box and not at the vault", () => {
    expect(said({ received: 530, verdict: verdict("query", 530) }, 500)).toContain(
      "500 of 530 images are here, the rest",
    );
  });

  it("says that of one image too", () => {
    expect(said({ received: 1, verdict: verdict("query", 1) })).toMatch(/^1 of 1 image is here/);
  });
});
