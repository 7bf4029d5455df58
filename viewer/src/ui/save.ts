/** Saving to the device: one instance, its document, or everything as one ZIP. */
import { makeZip } from "client-zip";
import { fileKind } from "../lib/kinds.ts";
import type { Loader } from "../lib/loader.ts";
import type { Instance, Manifest } from "../lib/manifest.ts";
import { part10Header } from "../lib/part10.ts";

const KEEP_URL_MS = 120_000; // iOS reads a blob's URL long after the click; revoked at once, nothing is saved
const BLOB_BYTES = 8 << 20; // parts of this size can leave the tab's memory for the browser's disk

export function saveBlob(blob: Blob, name: string): void {
  const url = URL.createObjectURL(blob);
  const anchor = document.createElement("a");
  anchor.href = url;
  anchor.download = name;
  document.body.append(anchor);
  anchor.click();
  anchor.remove();
  setTimeout(() => URL.revokeObjectURL(url), KEEP_URL_MS);
}

/** The instance as a DICOM file. */
export async function dicomFile(loader: Loader, instance: Instance): Promise<Blob> {
  return new Blob([part10Header(instance), await loader.dataset(instance)], { type: "application/dicom" });
}

/** The PDF or the video within an instance. */
export async function documentBlob(loader: Loader, instance: Instance): Promise<Blob> {
  const type = fileKind(instance) === "pdf" ? "application/pdf" : "video/mp4";
  return new Blob([await loader.dataset(instance, "document")], { type });
}

export interface Entry {
  readonly name: string;
  readonly instance: Instance;
}

/** Names within the ZIP: no patient's name, and short enough for every system that reads media. */
export function entries(manifest: Manifest): Entry[] {
  return manifest.studies.flatMap((study, s) =>
    study.series.flatMap((series, n) =>
      series.instances.map((instance, i) => ({
        name: `DICOM/ST${pad(s + 1, 3)}/SE${pad(n + 1, 4)}/IM${pad(i + 1, 6)}.dcm`,
        instance,
      })),
    ),
  );
}

export async function zipStudy(
  loader: Loader,
  manifest: Manifest,
  progress: (done: number) => void,
  signal: AbortSignal,
): Promise<Blob> {
  async function* files() {
    let done = 0;
    for (const { name, instance } of entries(manifest)) {
      signal.throwIfAborted();
      yield { name, input: await dicomFile(loader, instance), lastModified: new Date() };
      progress(++done);
    }
  }
  return gather(makeZip(files()));
}

/** Collects a stream into parts that are blobs themselves, so that the tab never holds the whole. */
async function gather(stream: ReadableStream<Uint8Array>): Promise<Blob> {
  const parts: Blob[] = [];
  let chunks: Uint8Array<ArrayBuffer>[] = [];
  let held = 0;
  const reader = stream.getReader();
  for (let next = await reader.read(); !next.done; next = await reader.read()) {
    chunks.push(next.value as Uint8Array<ArrayBuffer>);
    held += next.value.length;
    if (held < BLOB_BYTES) continue;
    parts.push(new Blob(chunks));
    chunks = [];
    held = 0;
  }
  return new Blob([...parts, ...chunks], { type: "application/zip" });
}

function pad(value: number, digits: number): string {
  return String(value).padStart(digits, "0");
}
