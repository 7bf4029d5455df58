/** A share made of real files, sealed as the box seals it. For the fake vault only. */
import { encode } from "../src/lib/base64url.ts";
import type { Bytes } from "../src/lib/bytes.ts";
import { type Dataset, parseDataset } from "../src/lib/dataset.ts";
import { type RealFile, realFile, splitPart10 } from "../tests/real-files.ts";
import { random, sealInstance, sealManifest } from "../tests/seal.ts";

interface Plan {
  readonly modality: string;
  readonly description: string;
  readonly files: readonly string[];
  /** How often each file is repeated, under other UIDs. */
  readonly times?: number;
}

const PLANS: readonly Plan[] = [
  { modality: "CT", description: "Thorax 1.0", files: ["693_UNCI.dcm", "693_J2KI.dcm"], times: 15 },
  { modality: "MR", description: "T2 sag", files: ["MR_small.dcm", "MR_small_RLE.dcm", "MR_small_jp2klossless.dcm"] },
  { modality: "US", description: "", files: ["color3d_jpeg_baseline.dcm"] },
  { modality: "CR", description: "Chest PA", files: ["RG1_UNCI.dcm"] },
  { modality: "US", description: "HTJ2K", files: ["HTJ2K_08_RGB.dcm", "HTJ2KLossless_08_RGB.dcm"] },
  {
    modality: "OT",
    description: "JPEG family",
    files: ["JPEG-lossy.dcm", "JPEG-LL.dcm", "SC_jpeg_no_color_transform.dcm"],
  },
  { modality: "MR", description: "Enhanced", files: ["emri_small_jpeg_ls_lossless.dcm", "eCT_Supplemental.dcm"] },
  { modality: "SR", description: "Measurements", files: ["reportsi.dcm"] },
  { modality: "RTPLAN", description: "", files: ["rtplan.dcm"] },
  { modality: "ECG", description: "12 lead", files: ["waveform_ecg.dcm"] },
];

interface Listed {
  readonly uid: string;
  readonly [name: string]: unknown;
}

export interface FakeShare {
  readonly id: Bytes;
  readonly dataKey: Bytes;
  readonly objects: Bytes[];
  /** Ciphertext of the manifest in which `count` instances are listed. */
  manifest(generation: number, count: number, state: string, missing: number): Bytes;
  readonly total: number;
}

export async function fakeShare(extra: readonly RealFile[] = []): Promise<FakeShare> {
  const [id, dataKey] = [random(16), random(32)];
  const objects: Bytes[] = [];
  const series: { uid: string; number: number; modality: string; description: string; instances: Listed[] }[] = [];
  const plans = extra.length
    ? [...PLANS, ...extra.map((file) => ({ modality: "DOC", description: "", files: [file.path] }))]
    : PLANS;
  for (const [n, plan] of plans.entries()) {
    const uid = `1.2.3.${n + 1}`;
    const instances: Listed[] = [];
    for (let time = 0; time < ("times" in plan ? (plan.times ?? 1) : 1); time++) {
      for (const name of plan.files) {
        const path = name.startsWith("/") ? name : realFile(name)?.path;
        if (!path) continue;
        const number = instances.length + 1;
        instances.push(await listed(path, `${uid}.${number}`, number, objects));
      }
    }
    series.push({ uid, number: n + 1, modality: plan.modality, description: plan.description, instances });
  }
  const total = series.reduce((sum, { instances }) => sum + instances.length, 0);
  const manifest = (generation: number, count: number, state: string, missing: number) => {
    const said = judged(state, state === "arriving" ? total : count, missing);
    const whole = { ...HEAD, ...said, generation, state, studies: [study(firstOf(series, count))] };
    return sealManifest(dataKey, id, whole);
  };
  return { id, dataKey, objects, manifest, total };
}

function firstOf<T extends { instances: Listed[] }>(series: readonly T[], count: number): T[] {
  let left = count;
  return series.flatMap((one) => {
    const instances = one.instances.slice(0, Math.max(0, left));
    left -= instances.length;
    return instances.length ? [{ ...one, instances }] : [];
  });
}

async function listed(path: string, uid: string, number: number, objects: Bytes[]): Promise<Listed> {
  const { sopClass, syntax, dataset } = splitPart10(path);
  const parsed = await parseDataset(dataset, syntax).catch(() => undefined);
  const { stream, key, sealed } = sealInstance(dataset);
  // Two objects for each instance, so that streams cross the border of objects.
  const half = sealed.length >> 1;
  objects.push(sealed.slice(0, half), sealed.slice(half));
  return {
    uid,
    class: sopClass,
    syntax,
    number,
    rows: parsed?.u16("x00280010") ?? 0,
    columns: parsed?.u16("x00280011") ?? 0,
    frames: frames(parsed),
    size: dataset.length,
    stream: encode(stream),
    key: encode(key),
    pieces: [
      [objects.length - 2, 0, half],
      [objects.length - 1, 0, sealed.length - half],
    ],
  };
}

function frames(dataset: Dataset | undefined): number {
  return dataset?.decimal("x00280008") ?? 1;
}

function judged(state: string, received: number, missing: number) {
  if (state === "arriving") return { source: "", received };
  const source = state === "complete" || missing ? "query" : "quiet";
  const expected = source === "quiet" ? 0 : received + missing;
  const counted = `${received} of ${expected} images, checked with the PACS${missing ? `; ${missing} missing` : ""}`;
  const sentence = source === "quiet" ? "no more images for 30 s; not checked" : counted;
  return { source: sentence, received, verdict: { source, received, expected, missing } };
}

function study(series: unknown[]) {
  const added = Math.floor(Date.now() / 1000) - 600;
  return { uid: "1.2.3", date: "20260114", time: "101500", description: "CT Chest", accession: "A1", added, series };
}

const HEAD = {
  format: "slipway-manifest/1",
  site: "St Mary’s Radiology",
  language: "en",
  patient: { name: "Rivers^Ada", id: "1234", birth_date: "19700131", sex: "F" },
};
