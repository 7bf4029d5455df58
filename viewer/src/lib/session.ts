/** One visit: from a link to an open share whose manifest is followed while it grows. */

import type { Bytes } from "./bytes.ts";
import { type FactorKind, factorBytes, proof, unwrap } from "./envelope.ts";
import { codeOf, type ErrorCode, PageError } from "./errors.ts";
import type { Link } from "./link.ts";
import { type Manifest, openManifest } from "./manifest.ts";
import * as vault from "./vault.ts";

/** How often the vault is asked for a newer manifest: less and less often while there is none. */
export const PACE = {
  growingMs: 2_000, // while images arrive
  growingAtMostMs: 15_000,
  settledMs: 10_000, // late images are rare, and a phone's battery is small
  settledAtMostMs: 120_000,
};
const SLOWER = 1.5; // each time that nothing came

/** After these the share is closed to this page. */
const FINAL: readonly ErrorCode[] = ["link_expired", "link_revoked", "link_locked", "link_unknown", "token_unknown"];

export interface SessionEvents {
  manifest(manifest: Manifest): void;
  /** Nothing new could be had just now; `undefined` when it can again. */
  trouble(code: ErrorCode | undefined): void;
  ended(code: ErrorCode): void;
}

export class Session {
  readonly token: string;
  readonly expiresAt: number;
  private readonly linkId: Bytes;
  private readonly shareId: Bytes;
  private readonly dataKey: CryptoKey;
  private readonly pace: typeof PACE;
  private newest: Manifest | undefined;
  private etag = "";
  private fruitless = 0; // turns without news, since the page was last looked at
  private retryAfterMs = 0;
  private stopped = false;
  private wake: () => void = () => {};

  private constructor(linkId: Bytes, opened: vault.Opened, shareId: Bytes, dataKey: CryptoKey, pace: typeof PACE) {
    this.pace = pace;
    this.linkId = linkId;
    this.token = opened.token;
    this.expiresAt = opened.expiresAt;
    this.shareId = shareId;
    this.dataKey = dataKey;
  }

  /** Proves the factor to the vault and opens the envelope. A wrong one costs a try. */
  static async open(link: Link, kind: FactorKind, value: string, pace = PACE): Promise<Session> {
    const factor = factorBytes(kind, value);
    const opened = await vault.open(link.id, await proof(link, factor));
    const { shareId, dataKey } = await unwrap(link, opened.shareKey, factor, opened.envelope);
    // Nothing needs F and S from here on.
    opened.shareKey.fill(0);
    link.secret.fill(0);
    return new Session(link.id, opened, shareId, dataKey, pace);
  }

  /** Follows the manifest until `stop` or until the share is closed. */
  async follow(events: SessionEvents): Promise<void> {
    document.addEventListener("visibilitychange", this.wakeUp);
    addEventListener("online", this.wakeUp);
    while (!this.stopped) {
      try {
        this.fruitless++;
        this.retryAfterMs = 0;
        const manifest = await this.refresh();
        if (manifest) this.fruitless = 0;
        events.trouble(undefined);
        if (manifest && !this.stopped) events.manifest(manifest);
      } catch (error) {
        if (this.stopped) return;
        if (await this.isOver(codeOf(error), events)) return;
        this.retryAfterMs = ((error instanceof PageError && error.retryAfterS) || 0) * 1000;
      }
      await this.pause();
    }
  }

  /** Looks at once, without waiting for the next turn. */
  hurry(): void {
    this.wake();
  }

  stop(): void {
    this.stopped = true;
    document.removeEventListener("visibilitychange", this.wakeUp);
    removeEventListener("online", this.wakeUp);
    this.wake();
  }

  private async refresh(): Promise<Manifest | undefined> {
    const found = await vault.manifest(this.token, this.etag);
    if (!found || found.generation === this.newest?.generation) return undefined;
    if (found.generation < (this.newest?.generation ?? 1)) throw new PageError("altered", "older manifest");
    this.newest = await openManifest(this.dataKey, this.shareId, found.generation, found.sealed, this.newest);
    this.etag = found.etag;
    return this.newest;
  }

  private async isOver(code: ErrorCode, events: SessionEvents): Promise<boolean> {
    if (!FINAL.includes(code)) {
      events.trouble(code);
      return false;
    }
    this.stop();
    events.ended(code === "token_unknown" ? await whyTokenDied(this.linkId) : code);
    return true;
  }

  private pause(): Promise<void> {
    if (this.stopped) return Promise.resolve();
    const growing = !this.newest || isGrowing(this.newest);
    return new Promise((resolve) => {
      // A page in a pocket asks for nothing; it wakes when it is looked at.
      const timer = document.hidden
        ? undefined
        : setTimeout(resolve, Math.max(this.retryAfterMs, pauseMs(this.pace, growing, this.fruitless)));
      this.wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }

  private readonly wakeUp = (): void => {
    if (document.hidden) return;
    this.fruitless = 0;
    this.wake();
  };
}

/** A token dies with its link: the link's own state is what the person should hear. */
async function whyTokenDied(linkId: Bytes): Promise<ErrorCode> {
  try {
    const { state } = await vault.linkState(linkId);
    return stateCode(state) ?? "token_unknown";
  } catch (error) {
    const code = codeOf(error);
    return FINAL.includes(code) ? code : "token_unknown";
  }
}

/** Nothing for a link that can be opened. */
export function stateCode(state: string): ErrorCode | undefined {
  if (state === "active") return undefined;
  if (state === "expired") return "link_expired";
  if (state === "locked") return "link_locked";
  return state === "revoked" || state === "destroyed" ? "link_revoked" : "link_unknown";
}

/** Until the next question, after `fruitless` of them that brought nothing. */
export function pauseMs(pace: typeof PACE, growing: boolean, fruitless: number): number {
  const [first, most] = growing ? [pace.growingMs, pace.growingAtMostMs] : [pace.settledMs, pace.settledAtMostMs];
  return Math.min(most, first * SLOWER ** fruitless);
}

/** More is on its way, to the box or from the box to the vault. */
export function isGrowing(manifest: Manifest): boolean {
  return manifest.state === "arriving" || listed(manifest) < manifest.received;
}

export function listed(manifest: Manifest): number {
  return manifest.studies.reduce(
    (sum, study) => sum + study.series.reduce((inner, series) => inner + series.instances.length, 0),
    0,
  );
}
