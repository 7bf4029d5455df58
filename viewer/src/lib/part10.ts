/** A DICOM file out of a dataset (docs/envelope.md, "Part 10 files from a share"; PS3.10 section 7.1). */
import { ascii, type Bytes, concat } from "./bytes.ts";

const PREAMBLE_BYTES = 128;
const IMPLEMENTATION_CLASS = "1.2.826.0.1.3680043.10.1733.1.1";
const IMPLEMENTATION_NAME = "SLIPWAY_1";

export interface FileIdentity {
  readonly sopClass: string;
  readonly uid: string;
  readonly syntax: string;
}

/** What stands before the dataset's bytes in the file. */
export function part10Header(identity: FileIdentity): Bytes {
  const meta = concat(
    element(0x0001, "OB", Uint8Array.of(0, 1)),
    element(0x0002, "UI", uid(identity.sopClass)),
    element(0x0003, "UI", uid(identity.uid)),
    element(0x0010, "UI", uid(identity.syntax)),
    element(0x0012, "UI", uid(IMPLEMENTATION_CLASS)),
    element(0x0013, "SH", even(ascii(IMPLEMENTATION_NAME), 0x20)),
  );
  const length = new Uint8Array(4);
  new DataView(length.buffer).setUint32(0, meta.length, true);
  return concat(new Uint8Array(PREAMBLE_BYTES), ascii("DICM"), element(0x0000, "UL", length), meta);
}

/** One element of group 0002, explicit VR little endian. */
function element(number: number, vr: string, value: Uint8Array): Bytes {
  const long = vr === "OB"; // two reserved bytes, then a length of 32 bits
  const head = new Uint8Array(long ? 12 : 8);
  const view = new DataView(head.buffer);
  view.setUint16(0, 0x0002, true);
  view.setUint16(2, number, true);
  head.set(ascii(vr), 4);
  if (long) view.setUint32(8, value.length, true);
  else view.setUint16(6, value.length, true);
  return concat(head, value);
}

function uid(value: string): Bytes {
  return even(ascii(value), 0);
}

function even(value: Bytes, padding: number): Bytes {
  return value.length % 2 ? concat(value, Uint8Array.of(padding)) : value;
}
