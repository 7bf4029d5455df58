/** The vault's interface for this page (docs/wire.md, "/api/v1"): requests out, values or PageErrors back. */
import { decode, encode } from "./base64url.ts";
import type { Bytes } from "./bytes.ts";
import type { FactorKind } from "./envelope.ts";
import { type ErrorCode, PageError } from "./errors.ts";

const ANSWER_WITHIN_MS = 20_000;
const BYTES_WITHIN_MS = 120_000; // a few MiB over a slow phone network
const RETRY_AFTER_MS = [400, 1_500, 4_000];

export interface LinkState {
  readonly state: string;
  readonly factor: FactorKind;
  readonly expiresAt: number;
  readonly triesLeft: number;
}

export interface Opened {
  readonly shareKey: Bytes;
  readonly envelope: Bytes;
  readonly token: string;
  readonly expiresAt: number;
}

export interface SealedManifest {
  readonly generation: number;
  readonly etag: string;
  readonly sealed: Bytes;
}

const KNOWN = new Set<string>([
  "link_unknown",
  "link_expired",
  "link_revoked",
  "link_locked",
  "wrong_factor",
  "token_unknown",
  "manifest_pending",
  "object_unknown",
  "too_many_requests",
]);

async function answer(path: string, init: RequestInit, withinMs: number): Promise<Response> {
  let response: Response;
  try {
    response = await fetch(`/api/v1/${path}`, {
      ...init,
      cache: "no-store",
      credentials: "omit",
      referrerPolicy: "no-referrer",
      redirect: "error",
      signal: AbortSignal.timeout(withinMs),
    });
  } catch {
    throw new PageError("unreachable");
  }
  if (response.ok || response.status === 304) return response;
  throw await refusal(response);
}

async function refusal(response: Response): Promise<PageError> {
  const body = await response.json().catch(() => ({}));
  const code: unknown = body?.error?.code;
  if (typeof code !== "string" || !KNOWN.has(code)) {
    return new PageError(response.status === 502 || response.status === 503 ? "unreachable" : "vault_failed");
  }
  const retryAfterS = Number(response.headers.get("Retry-After")) || 0;
  const triesLeft = typeof body.tries_left === "number" ? { triesLeft: body.tries_left as number } : {};
  return new PageError(code as ErrorCode, "", { retryAfterS, ...triesLeft });
}

async function json(response: Response): Promise<Record<string, unknown>> {
  return response.json().catch(() => Promise.reject(new PageError("vault_failed")));
}

export async function linkState(linkId: Bytes): Promise<LinkState> {
  const body = await json(await answer(`links/${encode(linkId)}`, {}, ANSWER_WITHIN_MS));
  const factor = body.factor;
  if (factor !== "birth-date" && factor !== "pin" && factor !== "none") throw new PageError("vault_failed");
  return { state: String(body.state), factor, expiresAt: Number(body.expires_at), triesLeft: Number(body.tries_left) };
}

/** Never retried: a wrong proof counts as a try, whether or not its answer arrives. */
export async function open(linkId: Bytes, proof: Bytes): Promise<Opened> {
  const init = {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify({ proof: encode(proof) }),
  };
  const body = await json(await answer(`links/${encode(linkId)}/open`, init, ANSWER_WITHIN_MS));
  return {
    shareKey: decode(String(body.share_key), 32),
    envelope: decode(String(body.envelope)),
    token: String(body.token),
    expiresAt: Number(body.expires_at),
  };
}

/** Nothing where the vault has nothing newer than `etag`. */
export async function manifest(token: string, etag: string): Promise<SealedManifest | undefined> {
  const headers: Record<string, string> = { Authorization: `Bearer ${token}` };
  if (etag) headers["If-None-Match"] = etag;
  const response = await answer("manifest", { headers }, BYTES_WITHIN_MS);
  if (response.status === 304) return undefined;
  const generation = Number(response.headers.get("Slipway-Generation"));
  if (!Number.isSafeInteger(generation) || generation < 1) throw new PageError("vault_failed");
  return { generation, etag: response.headers.get("ETag") ?? "", sealed: await bytes(response) };
}

/** Bytes [offset, offset + length) of an object, tried again where the network fails. */
export async function objectRange(token: string, object: number, offset: number, length: number): Promise<Bytes> {
  for (const pause of RETRY_AFTER_MS) {
    try {
      return await objectRangeOnce(token, object, offset, length);
    } catch (error) {
      if (!(error instanceof PageError) || !["unreachable", "too_many_requests"].includes(error.code)) throw error;
      await new Promise((resolve) => setTimeout(resolve, Math.max(pause, (error.retryAfterS ?? 0) * 1000)));
    }
  }
  return objectRangeOnce(token, object, offset, length);
}

async function objectRangeOnce(token: string, object: number, offset: number, length: number): Promise<Bytes> {
  const headers = { Authorization: `Bearer ${token}`, Range: `bytes=${offset}-${offset + length - 1}` };
  const response = await answer(`objects/${object}`, { headers }, BYTES_WITHIN_MS);
  const body = await bytes(response);
  // A server or proxy may ignore Range and send the whole object.
  const wanted = response.status === 206 ? body : body.slice(offset, offset + length);
  if (wanted.length !== length) throw new PageError("altered", "object is shorter than the manifest says");
  return wanted;
}

async function bytes(response: Response): Promise<Bytes> {
  try {
    return new Uint8Array(await response.arrayBuffer());
  } catch {
    throw new PageError("unreachable");
  }
}
