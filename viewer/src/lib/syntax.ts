/** Transfer syntaxes (PS3.6 table A-1): how a dataset is written, and which decoder its pixels want. */

export type Compression =
  | "none"
  | "rle"
  | "jpeg" // baseline and extended: 8 or 12 bit, known from the stream itself
  | "jpeg-lossless"
  | "jpeg-ls"
  | "jpeg-2000"
  | "htj2k"
  | "video";

const JPEG = "1.2.840.10008.1.2.4.";
const COMPRESSIONS: Record<string, Compression> = {
  "1.2.840.10008.1.2": "none",
  "1.2.840.10008.1.2.1": "none",
  "1.2.840.10008.1.2.1.99": "none",
  "1.2.840.10008.1.2.2": "none",
  "1.2.840.10008.1.2.5": "rle",
  [`${JPEG}50`]: "jpeg",
  [`${JPEG}51`]: "jpeg",
  [`${JPEG}57`]: "jpeg-lossless",
  [`${JPEG}70`]: "jpeg-lossless",
  [`${JPEG}80`]: "jpeg-ls",
  [`${JPEG}81`]: "jpeg-ls",
  [`${JPEG}90`]: "jpeg-2000",
  [`${JPEG}91`]: "jpeg-2000",
  [`${JPEG}201`]: "htj2k",
  [`${JPEG}202`]: "htj2k",
  [`${JPEG}203`]: "htj2k",
};

export const IMPLICIT_LITTLE = "1.2.840.10008.1.2";
export const EXPLICIT_BIG = "1.2.840.10008.1.2.2";
export const DEFLATED = "1.2.840.10008.1.2.1.99";

/** Nothing for a syntax that this page does not know. */
export function compressionOf(syntax: string): Compression | undefined {
  // .100 to .108: MPEG-2, MPEG-4 (H.264) and HEVC, with .1 for their fragmentable twins.
  if (/^1\.2\.840\.10008\.1\.2\.4\.10[0-8](\.1)?$/.test(syntax)) return "video";
  return COMPRESSIONS[syntax];
}
