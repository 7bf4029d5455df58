/** What an instance is to this page: a picture to draw, or a file of some kind to save. By SOP class (PS3.4 B.5). */
import type { Instance } from "./manifest.ts";
import { compressionOf } from "./syntax.ts";
import type { Texts } from "./texts.ts";

export type Kind = keyof Texts["kinds"];

const STORAGE = "1.2.840.10008.5.1.4.1.1.";

const BEGINNINGS: [begin: string, kind: Kind][] = [
  ["88.59", "keyImages"],
  ["88.", "report"],
  ["104.1", "pdf"],
  ["104.2", "cda"],
  ["104.", "model"],
  ["66.4", "segmentation"],
  ["66.5", "segmentation"],
  ["66.7", "segmentation"],
  ["66.1", "registration"],
  ["66.3", "registration"],
  ["66", "raw"],
  ["481.", "radiotherapy"],
  ["11.", "presentation"],
  ["9.", "ecg"],
];

/** Nothing for a picture that this page draws. */
export function fileKind(instance: Pick<Instance, "sopClass" | "syntax" | "rows" | "columns">): Kind | undefined {
  const compression = compressionOf(instance.syntax);
  if (compression === "video") return "video";
  const own = instance.sopClass.startsWith(STORAGE) ? instance.sopClass.slice(STORAGE.length) : "";
  const kind = BEGINNINGS.find(([begin]) => own === begin.replace(/\.$/, "") || own.startsWith(begin))?.[1];
  const hasPicture = instance.rows > 0 && instance.columns > 0;
  // Radiotherapy images and doses have pixels and are pictures; segmentations have pixels and are none.
  if (kind && (kind !== "radiotherapy" || !hasPicture)) return kind;
  if (!hasPicture) return "other";
  return compression ? undefined : "image";
}
