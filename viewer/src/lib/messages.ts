/** What the page and its worker say to each other. */
import type { Frame } from "../pixels/render.ts";
import type { ErrorCode } from "./errors.ts";
import type { Location } from "./source.ts";

/** The parts of an Instance that the worker needs; CryptoKeys travel without being readable. */
export interface Wanted extends Location {
  readonly uid: string;
  readonly syntax: string;
  readonly frames: number;
}

export type Request =
  | { readonly type: "token"; readonly token: string }
  | { readonly type: "cancel"; readonly id: number }
  | { readonly type: "hurry"; readonly id: number; readonly urgency: number }
  | {
      readonly type: "frame";
      readonly id: number;
      readonly urgency: number;
      readonly wanted: Wanted;
      readonly frame: number;
    }
  | { readonly type: "dataset"; readonly id: number; readonly urgency: number; readonly wanted: Wanted }
  | { readonly type: "document"; readonly id: number; readonly urgency: number; readonly wanted: Wanted };

export type Job = Extract<Request, { wanted: Wanted }>;

export interface DrawableFrame {
  readonly frame: Frame;
  /** Milliseconds from one frame to the next when played; 0 where the dataset does not say. */
  readonly frameMs: number;
}

export type Answer =
  | { readonly id: number; readonly drawable: DrawableFrame }
  | { readonly id: number; readonly blob: Blob }
  | { readonly id: number; readonly code: ErrorCode };
