/** What a share holds (docs/envelope.md, "Manifest"): decrypted, checked, and its keys made unreadable. */
import { decode, encode } from "./base64url.ts";
import type { Bytes } from "./bytes.ts";
import { altered } from "./errors.ts";
import { importStreamKey, manifestAad, openWhole, sealedSize } from "./stream.ts";

/** [object number, offset, length] in bytes. */
export type Piece = readonly [object: number, offset: number, length: number];

export interface Instance {
  readonly uid: string;
  readonly sopClass: string;
  readonly syntax: string;
  readonly number: number;
  readonly rows: number;
  readonly columns: number;
  readonly frames: number;
  readonly size: number;
  readonly stream: Bytes;
  readonly key: CryptoKey;
  readonly pieces: readonly Piece[];
}

export interface Series {
  readonly uid: string;
  readonly number: number;
  readonly modality: string;
  readonly description: string;
  readonly instances: readonly Instance[];
}

export interface Study {
  readonly uid: string;
  readonly date: string;
  readonly time: string;
  readonly description: string;
  readonly accession: string;
  readonly series: readonly Series[];
  /** When its newest image came, Unix seconds by the box's clock; 0 where that is not said. */
  readonly added: number;
}

/** Whether all is here, and by whose word; `expected` is 0 where nobody has said how many there should be. */
export interface Verdict {
  readonly source: string;
  readonly received: number;
  readonly expected: number;
  readonly missing: number;
}

export interface Manifest {
  readonly generation: number;
  readonly state: "arriving" | "complete" | "quiet";
  /** The verdict as a sentence for professionals. */
  readonly source: string;
  /** Absent while nobody can say, and from older boxes. */
  readonly verdict: Verdict | undefined;
  readonly received: number;
  readonly site: string;
  readonly language: string;
  readonly patient: { readonly name: string; readonly id: string; readonly birthDate: string };
  readonly studies: readonly Study[];
}

type Json = Record<string, unknown>;

/** Opens a manifest's ciphertext. `generation` is what the vault says it is; the encryption holds it to that.
 *
 * Instances that `before` has already are taken from it: their keys need not be imported again.
 */
export async function openManifest(
  key: CryptoKey,
  shareId: Bytes,
  generation: number,
  sealed: Bytes,
  before?: Manifest,
): Promise<Manifest> {
  const plain = await openWhole(key, manifestAad(shareId, generation), sealed);
  const json = parse(plain);
  if (json.format !== "slipway-manifest/1") throw altered("manifest of another format");
  if (json.share !== encode(shareId) || json.generation !== generation) throw altered("manifest of another share");
  return readManifest(json, instancesByStream(before));
}

function parse(plain: Bytes): Json {
  try {
    return asObject(JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(plain)));
  } catch {
    throw altered("manifest is not JSON");
  }
}

type Known = ReadonlyMap<string, Instance>;

function instancesByStream(manifest: Manifest | undefined): Known {
  const all = manifest?.studies.flatMap((study) => study.series.flatMap((series) => series.instances)) ?? [];
  return new Map(all.map((instance) => [encode(instance.stream), instance]));
}

async function readManifest(json: Json, known: Known): Promise<Manifest> {
  const patient = asObject(json.patient ?? {});
  return {
    generation: whole(json.generation),
    state: json.state === "complete" || json.state === "quiet" ? json.state : "arriving",
    source: text(json.source),
    verdict: json.verdict === undefined ? undefined : readVerdict(asObject(json.verdict)),
    received: whole(json.received),
    site: text(json.site),
    language: text(json.language) || "en",
    patient: { name: text(patient.name), id: text(patient.id), birthDate: text(patient.birth_date) },
    studies: await Promise.all(list(json.studies).map((study) => readStudy(study, known))),
  };
}

function readVerdict(json: Json): Verdict {
  return {
    source: text(json.source),
    received: whole(json.received),
    expected: whole(json.expected),
    missing: whole(json.missing),
  };
}

async function readStudy(json: Json, known: Known): Promise<Study> {
  return {
    uid: text(json.uid),
    date: text(json.date),
    time: text(json.time),
    description: text(json.description),
    accession: text(json.accession),
    series: await Promise.all(list(json.series).map((series) => readSeries(series, known))),
    added: whole(json.added),
  };
}

async function readSeries(json: Json, known: Known): Promise<Series> {
  const instances = await Promise.all(
    list(json.instances).map((instance) => known.get(text(instance.stream)) ?? readInstance(instance)),
  );
  return {
    uid: text(json.uid),
    number: whole(json.number),
    modality: text(json.modality),
    description: text(json.description),
    instances: instances.sort((a, b) => a.number - b.number || (a.uid < b.uid ? -1 : 1)),
  };
}

async function readInstance(json: Json): Promise<Instance> {
  const pieces = (Array.isArray(json.pieces) ? json.pieces : []).map(readPiece);
  const size = whole(json.size);
  // Before anything is fetched: pieces that do not add up mean something is missing.
  if (pieces.reduce((sum, piece) => sum + piece[2], 0) !== sealedSize(size)) throw altered("pieces do not add up");
  return {
    uid: text(json.uid),
    sopClass: text(json.class),
    syntax: text(json.syntax),
    number: whole(json.number),
    rows: whole(json.rows),
    columns: whole(json.columns),
    frames: Math.max(1, whole(json.frames ?? 1)),
    size,
    stream: decode(text(json.stream), 16),
    key: await importStreamKey(decode(text(json.key), 32)),
    pieces,
  };
}

function readPiece(value: unknown): Piece {
  if (!Array.isArray(value) || value.length !== 3) throw altered("a piece is not three numbers");
  return [whole(value[0]), whole(value[1]), whole(value[2])];
}

function asObject(value: unknown): Json {
  if (typeof value !== "object" || value === null || Array.isArray(value)) throw altered("not an object");
  return value as Json;
}

function list(value: unknown): Json[] {
  return Array.isArray(value) ? value.map(asObject) : [];
}

function text(value: unknown): string {
  return typeof value === "string" ? value : "";
}

function whole(value: unknown): number {
  if (value === undefined || value === null) return 0;
  if (typeof value !== "number" || !Number.isSafeInteger(value)) throw altered("not a whole number");
  return value;
}
