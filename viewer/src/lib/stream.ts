/** The encrypted stream: Tink's AES-GCM-HKDF streaming, 1 MiB segments (docs/envelope.md, "Stream"). Read only.
 *
 * Not here: where the bytes lie (lib/source.ts). Segments are opened one at a time, in any order.
 */
import { ascii, type Bytes, concat, u32 } from "./bytes.ts";
import { altered } from "./errors.ts";

export const SEGMENT_BYTES = 1 << 20; // of ciphertext
export const TAG_BYTES = 16;
export const HEADER_BYTES = 40;
const SALT_BYTES = 32;
export const FIRST_PLAIN_BYTES = SEGMENT_BYTES - HEADER_BYTES - TAG_BYTES;
export const PLAIN_BYTES = SEGMENT_BYTES - TAG_BYTES;

/** A key that derives stream keys and cannot be read out again. */
export function importStreamKey(raw: Bytes): Promise<CryptoKey> {
  return crypto.subtle.importKey("raw", raw, "HKDF", false, ["deriveKey"]);
}

export interface SegmentCipher {
  /** Plaintext of one segment, header already taken off segment 0; `altered` if one bit is not as written. */
  open(index: number, sealed: Bytes, last: boolean): Promise<Bytes>;
}

export async function segmentCipher(key: CryptoKey, aad: Bytes, header: Bytes): Promise<SegmentCipher> {
  if (header.length !== HEADER_BYTES || header[0] !== HEADER_BYTES) throw altered("stream without its header");
  const hkdf = { name: "HKDF", hash: "SHA-256", salt: header.slice(1, 1 + SALT_BYTES), info: aad };
  const gcm = await crypto.subtle.deriveKey(hkdf, key, { name: "AES-GCM", length: 256 }, false, ["decrypt"]);
  const prefix = header.slice(1 + SALT_BYTES);
  return {
    async open(index, sealed, last) {
      const iv = concat(prefix, u32(index), Uint8Array.of(last ? 1 : 0));
      try {
        return new Uint8Array(await crypto.subtle.decrypt({ name: "AES-GCM", iv }, gcm, sealed));
      } catch {
        throw altered(`segment ${index}`);
      }
    },
  };
}

export function segmentCount(plainBytes: number): number {
  return plainBytes <= FIRST_PLAIN_BYTES ? 1 : 1 + Math.ceil((plainBytes - FIRST_PLAIN_BYTES) / PLAIN_BYTES);
}

/** Ciphertext length of a stream that holds `plainBytes` of plaintext. */
export function sealedSize(plainBytes: number): number {
  return HEADER_BYTES + plainBytes + segmentCount(plainBytes) * TAG_BYTES;
}

/** A whole stream that is in memory already, such as a manifest. */
export async function openWhole(key: CryptoKey, aad: Bytes, sealed: Bytes): Promise<Bytes> {
  const cipher = await segmentCipher(key, aad, sealed.slice(0, HEADER_BYTES));
  const plain: Bytes[] = [];
  for (let start = 0, index = 0; index === 0 || start < sealed.length; start += SEGMENT_BYTES, index++) {
    const end = start + SEGMENT_BYTES;
    const segment = sealed.slice(index === 0 ? HEADER_BYTES : start, end);
    plain.push(await cipher.open(index, segment, end >= sealed.length));
  }
  return concat(...plain);
}

export function instanceAad(streamId: Bytes): Bytes {
  return concat(ascii("slipway/1 instance"), streamId);
}

export function manifestAad(shareId: Bytes, generation: number): Bytes {
  return concat(ascii("slipway/1 manifest"), shareId, u32(generation));
}
