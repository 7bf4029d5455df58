/** Factor, proof and envelope: how a link opens a share (docs/envelope.md, "Factor" and "Envelope"). */
import { ascii, type Bytes, concat, equalInConstantTime } from "./bytes.ts";
import { altered, PageError } from "./errors.ts";
import type { Link } from "./link.ts";

export type FactorKind = "birth-date" | "pin" | "none";

const VERSION = 1;
const ENVELOPE_BYTES = 109;
const FORMS: Record<FactorKind, RegExp> = { "birth-date": /^\d{8}$/, pin: /^\d{4,12}$/, none: /^$/ };

/** The factor's canonical bytes; `wrong_factor` if the value cannot be one of this kind. */
export function factorBytes(kind: FactorKind, value: string): Bytes {
  if (!FORMS[kind].test(value)) throw new PageError("wrong_factor");
  return ascii(`${kind}:${value}`);
}

export async function hkdf(key: Bytes, salt: Bytes, info: Bytes, size: number): Promise<Bytes> {
  const base = await crypto.subtle.importKey("raw", key, "HKDF", false, ["deriveBits"]);
  return new Uint8Array(await crypto.subtle.deriveBits({ name: "HKDF", hash: "SHA-256", salt, info }, base, size * 8));
}

/** What the page shows the vault instead of the factor; without the secret no guess can be tested. */
export async function proof(link: Link, factor: Bytes): Promise<Bytes> {
  const raw = await hkdf(link.secret, link.id, ascii("slipway/1 proof"), 32);
  const key = await crypto.subtle.importKey("raw", raw, { name: "HMAC", hash: "SHA-256" }, false, ["sign"]);
  raw.fill(0);
  return new Uint8Array(await crypto.subtle.sign("HMAC", key, factor));
}

export interface OpenedEnvelope {
  readonly shareId: Bytes;
  /** Not extractable: it only derives the keys of manifests. */
  readonly dataKey: CryptoKey;
}

/** `altered` when the envelope is not this link's, or is not as it was written. */
export async function unwrap(link: Link, shareKey: Bytes, factor: Bytes, envelope: Bytes): Promise<OpenedEnvelope> {
  const { shareId, dataKey } = await unwrapRaw(link, shareKey, factor, envelope);
  const key = await crypto.subtle.importKey("raw", dataKey, "HKDF", false, ["deriveKey"]);
  dataKey.fill(0);
  return { shareId, dataKey: key };
}

/** The data key itself: for `unwrap`, and for tests against the vectors. */
export async function unwrapRaw(link: Link, shareKey: Bytes, factor: Bytes, envelope: Bytes) {
  if (envelope.length !== ENVELOPE_BYTES || envelope[0] !== VERSION) throw altered("envelope of another version");
  const shareId = envelope.slice(1, 17);
  const okm = await hkdf(concat(link.secret, shareKey, factor), link.id, ascii("slipway/1 link"), 64);
  // First the commitment: AES-GCM alone would open under more than one key.
  if (!equalInConstantTime(envelope.subarray(17, 49), okm.subarray(32))) throw altered("envelope of another link");
  const wrapKey = await crypto.subtle.importKey("raw", okm.slice(0, 32), "AES-GCM", false, ["decrypt"]);
  okm.fill(0);
  const additionalData = concat(ascii("slipway/1 envelope"), link.id, shareId);
  const dataKey = await crypto.subtle
    .decrypt({ name: "AES-GCM", iv: envelope.slice(49, 61), additionalData }, wrapKey, envelope.slice(61))
    .catch(() => Promise.reject(altered("envelope")));
  return { shareId, dataKey: new Uint8Array(dataKey) };
}
