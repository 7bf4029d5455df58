/** The page's one worker: fetches, decrypts, parses and decodes, so that the page itself never stutters. */
import charlsUrl from "@cornerstonejs/codec-charls/decodewasm?url";
import turboUrl from "@cornerstonejs/codec-libjpeg-turbo-8bit/decodewasm?url";
import openjpegUrl from "@cornerstonejs/codec-openjpeg/decodewasm?url";
import openjphUrl from "@cornerstonejs/codec-openjph/wasm?url";
import { ByteLru } from "./lib/byte-lru.ts";
import { type Dataset, openLargeDataset, parseDataset } from "./lib/dataset.ts";
import { codeOf, PageError } from "./lib/errors.ts";
import type { Answer, Job, Request, Wanted } from "./lib/messages.ts";
import { type FetchRange, InstanceReader, readInstance } from "./lib/source.ts";
import { objectRange } from "./lib/vault.ts";
import type { LoadWasm, WasmName } from "./pixels/codecs.ts";
import { decodeFrame } from "./pixels/decode.ts";
import { encapsulatedDocument } from "./pixels/document.ts";
import { framesCanBeFound } from "./pixels/frames.ts";
import { frameMs, imagePixels } from "./pixels/image.ts";
import type { Frame } from "./pixels/render.ts";

const RUNNING_AT_MOST = 4; // enough to hide a phone network's round trips; more only delays what is looked at
const LARGE_BYTES = 16 << 20; // beyond it a multi-frame instance is read frame by frame
const DATASETS_AT_MOST = 64 << 20; // bytes: a cine loop is parsed once, not once a frame

const WASM_URL: Record<WasmName, string> = {
  charls: charlsUrl,
  openjpeg: openjpegUrl,
  openjph: openjphUrl,
  "libjpeg-turbo": turboUrl,
};

const scope = self as unknown as {
  onmessage: ((event: MessageEvent<Request>) => void) | null;
  postMessage(message: Answer, transfer: Transferable[]): void;
};

let token = "";
let waiting: Job[] = [];
let running = 0;
const datasets = new ByteLru<Dataset>(DATASETS_AT_MOST);
const parsing = new Map<string, Promise<Dataset>>();

scope.onmessage = ({ data }) => {
  if (data.type === "token") token = data.token;
  else if (data.type === "cancel") cancel(data.id);
  else if (data.type === "hurry") hurry(data.id, data.urgency);
  else {
    waiting.push(data);
    startNext();
  }
};

/** What runs already goes on: its frame is kept, and is likely to be wanted soon. */
function cancel(id: number): void {
  if (!waiting.some((job) => job.id === id)) return;
  waiting = waiting.filter((job) => job.id !== id);
  scope.postMessage({ id, code: "cancelled" }, []);
}

function hurry(id: number, urgency: number): void {
  waiting = waiting.map((job) => (job.id === id ? { ...job, urgency } : job));
}

/** The most urgent first, and of those the newest: it is what the person looks at now. */
function startNext(): void {
  while (running < RUNNING_AT_MOST && waiting.length > 0) {
    const next = waiting.reduce((best, job) => (job.urgency <= best.urgency ? job : best));
    waiting = waiting.filter((job) => job !== next);
    running++;
    void answer(next).finally(() => {
      running--;
      startNext();
    });
  }
}

async function answer(job: Job): Promise<void> {
  try {
    const [message, transfer] = await run(job);
    scope.postMessage(message, transfer);
  } catch (error) {
    scope.postMessage({ id: job.id, code: codeOf(error) }, []);
  }
}

async function run(job: Job): Promise<[Answer, Transferable[]]> {
  if (job.type === "dataset") return [{ id: job.id, blob: await wholeBlob(job.wanted) }, []];
  if (job.type === "document") {
    const whole = await parseDataset(await readInstance(job.wanted, fetchRange), job.wanted.syntax);
    return [{ id: job.id, blob: new Blob([encapsulatedDocument(whole)]) }, []];
  }
  const dataset = await datasetOf(job.wanted);
  const frame = detached(await decodeFrame(dataset, job.wanted.syntax, job.frame, loadWasm));
  const { buffer } = frame.kind === "gray" ? frame.values : frame.rgba;
  return [{ id: job.id, drawable: { frame, frameMs: frameMs(dataset) } }, [buffer as ArrayBuffer]];
}

/** Native samples are a view into their dataset: sending the view would copy all of the dataset. */
function detached(frame: Frame): Frame {
  if (frame.kind !== "gray" || frame.values.byteLength === frame.values.buffer.byteLength) return frame;
  return { ...frame, values: frame.values.slice() };
}

const fetchRange: FetchRange = (object, offset, length) => objectRange(token, object, offset, length);

/** Parts that are blobs themselves can leave memory for the browser's disk: a study may be larger than a phone's memory. */
async function wholeBlob(wanted: Wanted): Promise<Blob> {
  const parts: Blob[] = [];
  for await (const part of new InstanceReader(wanted, fetchRange).parts()) parts.push(new Blob([part]));
  return new Blob(parts);
}

async function openDataset(wanted: Wanted): Promise<Dataset> {
  if (wanted.size > LARGE_BYTES && wanted.frames > 1) {
    const reader = new InstanceReader(wanted, fetchRange);
    const large = await openLargeDataset(wanted.size, wanted.syntax, (start, end) => reader.read(start, end));
    if (large && (await framesCanBeFound(large, imagePixels(large)))) return large;
  }
  return parseDataset(await readInstance(wanted, fetchRange), wanted.syntax);
}

function datasetOf(wanted: Wanted): Promise<Dataset> {
  const held = datasets.get(wanted.uid);
  if (held) return Promise.resolve(held);
  const under = parsing.get(wanted.uid);
  if (under) return under;
  const promise = openDataset(wanted)
    .then((dataset) => {
      if (wanted.frames > 1) datasets.put(wanted.uid, dataset, dataset.bytes.length);
      return dataset;
    })
    .finally(() => parsing.delete(wanted.uid));
  parsing.set(wanted.uid, promise);
  return promise;
}

const loadWasm: LoadWasm = async (name) => {
  const response = await fetch(WASM_URL[name]).catch(() => undefined);
  if (!response?.ok) throw new PageError("unreachable");
  return response.arrayBuffer();
};
