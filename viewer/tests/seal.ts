/** The writing half of the formats, for tests and the fake vault: what the box does in Python. */
import { createCipheriv, createHash, createHmac, hkdfSync, randomBytes } from "node:crypto";
import { encode } from "../src/lib/base64url.ts";
import { ascii, type Bytes, concat, u32 } from "../src/lib/bytes.ts";
import { type FactorKind, factorBytes } from "../src/lib/envelope.ts";
import type { Link } from "../src/lib/link.ts";
import {
  FIRST_PLAIN_BYTES,
  HEADER_BYTES,
  instanceAad,
  manifestAad,
  PLAIN_BYTES,
  segmentCount,
} from "../src/lib/stream.ts";

export function random(size: number): Bytes {
  return new Uint8Array(randomBytes(size));
}

export function hkdfNow(key: Bytes, salt: Bytes, info: Bytes, size: number): Bytes {
  return new Uint8Array(hkdfSync("sha256", key, salt, info, size));
}

function gcm(key: Bytes, nonce: Bytes, plain: Uint8Array, aad?: Bytes): Bytes {
  const cipher = createCipheriv("aes-256-gcm", key, nonce);
  if (aad) cipher.setAAD(aad);
  return concat(cipher.update(plain), cipher.final(), cipher.getAuthTag());
}

export function sealStream(ikm: Bytes, aad: Bytes, plain: Uint8Array, header?: Bytes): Bytes {
  const head = header ?? concat(Uint8Array.of(HEADER_BYTES), random(39));
  const key = hkdfNow(ikm, head.slice(1, 33), aad, 32);
  const count = segmentCount(plain.length);
  const sealed = Array.from({ length: count }, (_, i) => {
    const start = i === 0 ? 0 : FIRST_PLAIN_BYTES + (i - 1) * PLAIN_BYTES;
    const end = FIRST_PLAIN_BYTES + i * PLAIN_BYTES;
    const nonce = concat(head.slice(33), u32(i), Uint8Array.of(i === count - 1 ? 1 : 0));
    return gcm(key, nonce, plain.subarray(start, end));
  });
  return concat(head, ...sealed);
}

export interface SealedInstance {
  readonly stream: Bytes;
  readonly key: Bytes;
  readonly sealed: Bytes;
}

export function sealInstance(dataset: Uint8Array): SealedInstance {
  const [stream, key] = [random(16), random(32)];
  return { stream, key, sealed: sealStream(key, instanceAad(stream), dataset) };
}

export function sealManifest(dataKey: Bytes, shareId: Bytes, manifest: { generation: number }): Bytes {
  const aad = manifestAad(shareId, manifest.generation);
  return sealStream(dataKey, aad, ascii(JSON.stringify({ ...manifest, share: encode(shareId) })));
}

export function verifier(link: Link, kind: FactorKind, value: string): Bytes {
  const key = hkdfNow(link.secret, link.id, ascii("slipway/1 proof"), 32);
  const proof = createHmac("sha256", key).update(factorBytes(kind, value)).digest();
  return new Uint8Array(createHash("sha256").update(proof).digest());
}

export function wrap(link: Link, shareKey: Bytes, factor: Bytes, shareId: Bytes, dataKey: Bytes): Bytes {
  const okm = hkdfNow(concat(link.secret, shareKey, factor), link.id, ascii("slipway/1 link"), 64);
  const nonce = random(12);
  const aad = concat(ascii("slipway/1 envelope"), link.id, shareId);
  return concat(Uint8Array.of(1), shareId, okm.slice(32), nonce, gcm(okm.slice(0, 32), nonce, dataKey, aad));
}
