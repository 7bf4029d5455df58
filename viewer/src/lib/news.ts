/** What came after all seemed to be here: the person has seen the rest, and is told of this. Forgotten with the page. */
import { fileKind, type Kind } from "./kinds.ts";
import type { Instance, Manifest, Series, Study } from "./manifest.ts";
import { isGrowing } from "./session.ts";

const DOCUMENTS: readonly Kind[] = ["report", "pdf", "cda"];

export interface Piece {
  readonly study: Study;
  readonly series: Series;
  readonly instance: Instance;
}

export class News {
  private manifest: Manifest | undefined;
  private known: ReadonlySet<string> | undefined; // UIDs of what was there when all seemed to be here
  private knownStudies: ReadonlySet<string> = new Set();
  private readonly seenUids = new Set<string>();
  private readonly toldUids = new Set<string>();

  update(manifest: Manifest): void {
    this.manifest = manifest;
    // Whoever opens the page while images arrive sees them come: that is no news.
    if (this.known || isGrowing(manifest)) return;
    this.known = new Set(piecesOf(manifest).map(({ instance }) => instance.uid));
    this.knownStudies = new Set(manifest.studies.map(({ uid }) => uid));
  }

  has(instance: Instance): boolean {
    return this.known !== undefined && !this.known.has(instance.uid) && !this.seenUids.has(instance.uid);
  }

  /** New, and the person has not been told yet; in the order of the page. */
  get untold(): Piece[] {
    const all = this.manifest ? piecesOf(this.manifest) : [];
    return all.filter(({ instance }) => this.has(instance) && !this.toldUids.has(instance.uid));
  }

  /** The person knows of all that is there now. */
  told(): void {
    for (const { instance } of this.untold) this.toldUids.add(instance.uid);
  }

  /** How many of a series' images are new. */
  of(series: Series): number {
    return series.instances.filter((instance) => this.has(instance)).length;
  }

  /** The person looks at this series. */
  seen(series: Series): void {
    for (const { uid } of series.instances) this.seenUids.add(uid);
  }

  /** The study that all these are in, where that study itself is new. */
  newStudy(pieces: readonly Piece[]): Study | undefined {
    const [first, ...others] = new Set(pieces.map(({ study }) => study));
    return first && others.length === 0 && !this.knownStudies.has(first.uid) ? first : undefined;
  }
}

export interface Counts {
  images: number;
  documents: number;
  files: number;
}

/** Pictures, what can be read, and what only a doctor's program opens. */
export function counts(pieces: readonly Piece[]): Counts {
  const found = { images: 0, documents: 0, files: 0 };
  for (const { instance } of pieces) {
    const kind = fileKind(instance);
    if (!kind) found.images++;
    else if (DOCUMENTS.includes(kind)) found.documents++;
    else found.files++;
  }
  return found;
}

function piecesOf(manifest: Manifest): Piece[] {
  return manifest.studies.flatMap((study) =>
    study.series.flatMap((series) => series.instances.map((instance) => ({ study, series, instance }))),
  );
}
