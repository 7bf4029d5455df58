/** The link on the slip: PUBLIC_URL/#TOKEN (docs/envelope.md, "Link"). */
import { decode, encode } from "./base64url.ts";
import type { Bytes } from "./bytes.ts";
import { PageError } from "./errors.ts";

const ID_BYTES = 16;
const BODY_BYTES = ID_BYTES + 32;
const TOKEN_CHARS = 67; // 16 + 32 + 2 bytes in base64url

export interface Link {
  readonly id: Bytes;
  /** F, on paper only. It must reach neither the document, nor storage, nor an error's text. */
  readonly secret: Bytes;
}

/** Reads a link or a fragment strictly; what follows the token is ignored, as scanner apps append to it. */
export function parseLink(url: string): Link {
  const mark = url.indexOf("#");
  const token =
    mark < 0
      ? ""
      : url
          .slice(mark + 1)
          .trim()
          .slice(0, TOKEN_CHARS);
  if (token === "") throw new PageError("link_absent");
  if (token.length < TOKEN_CHARS) throw new PageError("link_mistyped", "too short");
  const value = decodeToken(token);
  const body = value.slice(0, BODY_BYTES);
  const check = (value[BODY_BYTES]! << 8) | value[BODY_BYTES + 1]!;
  if (crc16(body) !== check) throw new PageError("link_mistyped", "check sum");
  return { id: body.slice(0, ID_BYTES), secret: body.slice(ID_BYTES) };
}

export function linkToken(link: Link): string {
  const body = new Uint8Array(BODY_BYTES + 2);
  body.set(link.id);
  body.set(link.secret, ID_BYTES);
  const check = crc16(body.subarray(0, BODY_BYTES));
  body[BODY_BYTES] = check >> 8;
  body[BODY_BYTES + 1] = check & 0xff;
  return encode(body);
}

function decodeToken(token: string): Bytes {
  try {
    return decode(token, BODY_BYTES + 2);
  } catch {
    throw new PageError("link_mistyped", "foreign character"); // without the token: errors may be shown
  }
}

/** CRC-16/IBM-3740. */
export function crc16(bytes: Uint8Array): number {
  let crc = 0xffff;
  for (const byte of bytes) {
    crc ^= byte << 8;
    for (let bit = 0; bit < 8; bit++) crc = (crc & 0x8000 ? (crc << 1) ^ 0x1021 : crc << 1) & 0xffff;
  }
  return crc;
}
