/** The page's side of its worker: asks, remembers decoded frames, cancels what nobody waits for any more. */
import { ByteLru } from "./byte-lru.ts";
import { PageError } from "./errors.ts";
import type { Instance } from "./manifest.ts";
import type { Answer, DrawableFrame, Request, Wanted } from "./messages.ts";

/** Lower is sooner. */
export const URGENCY = { looking: 0, ahead: 1, thumbnail: 2, saving: 3 } as const;

const FRAMES_AT_MOST = 96 << 20; // bytes: a tab on a small phone dies at a few hundred MiB

interface Pending {
  readonly resolve: (answer: Answer) => void;
  readonly reject: (error: PageError) => void;
}

interface Flight {
  readonly id: number;
  urgency: number;
  readonly promise: Promise<DrawableFrame>;
}

export class Loader {
  private readonly worker = new Worker(new URL("../worker.ts", import.meta.url), { type: "module" });
  private readonly pending = new Map<number, Pending>();
  private readonly flights = new Map<string, Flight>();
  private readonly frames = new ByteLru<DrawableFrame>(FRAMES_AT_MOST);
  private lastId = 0;
  /** The vault takes the token no longer: the link may have been revoked this moment. */
  refused: () => void = () => {};

  constructor(token: string) {
    this.worker.onmessage = ({ data }: MessageEvent<Answer>) => this.settle(data);
    this.worker.onerror = () => this.failAll();
    this.send({ type: "token", token });
  }

  /** A frame that is already decoded. */
  held(instance: Instance, frame: number): DrawableFrame | undefined {
    return this.frames.get(key(instance, frame));
  }

  frame(instance: Instance, frame: number, urgency: number): Promise<DrawableFrame> {
    const name = key(instance, frame);
    const held = this.frames.get(name);
    if (held) return Promise.resolve(held);
    const flight = this.flights.get(name);
    if (flight) return this.hurry(flight, urgency);
    const { id, answer } = this.ask((id) => ({ type: "frame", id, urgency, wanted: wanted(instance), frame }));
    const promise = answer
      .then((found) => this.keep(name, (found as { drawable: DrawableFrame }).drawable))
      .finally(() => {
        if (this.flights.get(name)?.id === id) this.flights.delete(name);
      });
    promise.catch(() => {});
    this.flights.set(name, { id, urgency, promise });
    return promise;
  }

  /** Takes back what was asked for ahead and is not in `still` any more. */
  cancelAhead(still: ReadonlySet<string>): void {
    for (const [name, flight] of this.flights) {
      if (flight.urgency <= URGENCY.ahead && !still.has(name)) this.cancel(name, flight);
    }
  }

  async dataset(instance: Instance, type: "dataset" | "document" = "dataset"): Promise<Blob> {
    const { answer } = this.ask((id) => ({ type, id, urgency: URGENCY.saving, wanted: wanted(instance) }));
    return ((await answer) as { blob: Blob }).blob;
  }

  close(): void {
    this.worker.terminate();
    this.failAll();
    this.frames.clear();
  }

  private ask(request: (id: number) => Request): { id: number; answer: Promise<Answer> } {
    const id = ++this.lastId;
    const answer = new Promise<Answer>((resolve, reject) => this.pending.set(id, { resolve, reject }));
    this.send(request(id));
    return { id, answer };
  }

  private hurry(flight: Flight, urgency: number): Promise<DrawableFrame> {
    if (urgency < flight.urgency) {
      flight.urgency = urgency;
      this.send({ type: "hurry", id: flight.id, urgency });
    }
    return flight.promise;
  }

  private cancel(name: string, flight: Flight): void {
    this.flights.delete(name);
    this.send({ type: "cancel", id: flight.id });
  }

  private settle(answer: Answer): void {
    const pending = this.pending.get(answer.id);
    this.pending.delete(answer.id);
    if ("code" in answer) {
      if (answer.code === "token_unknown") this.refused();
      pending?.reject(new PageError(answer.code));
    } else pending?.resolve(answer);
  }

  private failAll(): void {
    for (const { reject } of this.pending.values()) reject(new PageError("out_of_memory"));
    this.pending.clear();
    this.flights.clear();
  }

  private keep(name: string, drawable: DrawableFrame): DrawableFrame {
    const { frame } = drawable;
    this.frames.put(name, drawable, frame.kind === "gray" ? frame.values.byteLength : frame.rgba.byteLength);
    return drawable;
  }

  private send(request: Request): void {
    this.worker.postMessage(request);
  }
}

export function key(instance: Instance, frame: number): string {
  return `${instance.uid}/${frame}`;
}

function wanted(instance: Instance): Wanted {
  const { uid, syntax, frames, size, stream, key, pieces } = instance;
  return { uid, syntax, frames, size, stream, key, pieces };
}
