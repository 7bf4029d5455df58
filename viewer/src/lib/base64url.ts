/** base64url without padding (RFC 4648 section 5), read strictly. */
import type { Bytes } from "./bytes.ts";
import { altered } from "./errors.ts";

export function encode(value: Uint8Array): string {
  let text = "";
  for (const byte of value) text += String.fromCharCode(byte);
  return btoa(text).replaceAll("+", "-").replaceAll("/", "_").replace(/=+$/, "");
}

/** Throws for a foreign character, for spare bits that are not zero, and for another size than `size`. */
export function decode(text: string, size?: number): Bytes {
  if (!/^[A-Za-z0-9_-]*$/.test(text) || text.length % 4 === 1) throw altered("text is not base64url");
  const binary = atob(text.replaceAll("-", "+").replaceAll("_", "/"));
  const value = Uint8Array.from(binary, (character) => character.charCodeAt(0));
  // Encoding again is the plain way to see spare bits: they are lost on the way.
  if (encode(value) !== text || (size !== undefined && value.length !== size)) {
    throw altered("text is not base64url of the expected length");
  }
  return value;
}
