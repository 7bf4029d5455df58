/** What a dataset says about one of its frames: the image pixel module, its transformations and its windows. */
import type { Dataset } from "../lib/dataset.ts";
import { PageError } from "../lib/errors.ts";

export interface Window {
  readonly center: number;
  readonly width: number;
  readonly shape: "LINEAR" | "LINEAR_EXACT" | "SIGMOID";
  /** The modality's own name for it, such as LUNG; often empty. */
  readonly name: string;
}

/** A look-up table as in PS3.3 C.11.1.1: `values[clamp(x - first)]`, each of `bits` bits. */
export interface Lut {
  readonly first: number;
  readonly bits: number;
  readonly values: Uint16Array;
}

export interface ImagePixels {
  readonly rows: number;
  readonly columns: number;
  readonly frames: number;
  readonly samples: number;
  readonly photometric: string;
  readonly planar: boolean;
  readonly bitsAllocated: number;
  readonly bitsStored: number;
  readonly highBit: number;
  readonly signed: boolean;
}

export interface Presentation {
  readonly slope: number;
  readonly intercept: number;
  readonly modalityLut: Lut | undefined;
  readonly windows: readonly Window[];
  readonly voiLut: Lut | undefined;
  readonly inverted: boolean;
  /** Height of a pixel divided by its width. */
  readonly aspect: number;
}

const TAGS_AT_MOST = 1 << 28; // pixels in one frame; above this a count is an attack or a fault

export function imagePixels(dataset: Dataset): ImagePixels {
  const rows = dataset.u16("x00280010") ?? 0;
  const columns = dataset.u16("x00280011") ?? 0;
  const bitsAllocated = dataset.u16("x00280100") ?? 8;
  const bitsStored = dataset.u16("x00280101") ?? bitsAllocated;
  const samples = dataset.u16("x00280002") ?? 1;
  if (rows * columns === 0 || rows * columns > TAGS_AT_MOST) throw new PageError("cannot_draw", "no picture");
  if (![1, 8, 16, 32].includes(bitsAllocated)) throw new PageError("cannot_draw", `${bitsAllocated} bits`);
  return {
    rows,
    columns,
    frames: Math.max(1, dataset.decimal("x00280008") ?? 1),
    samples,
    photometric: dataset.text("x00280004") || (samples === 3 ? "RGB" : "MONOCHROME2"),
    planar: dataset.u16("x00280006") === 1,
    bitsAllocated,
    bitsStored: bitsStored >= 1 && bitsStored <= bitsAllocated ? bitsStored : bitsAllocated,
    highBit: dataset.u16("x00280102") ?? bitsStored - 1,
    signed: dataset.u16("x00280103") === 1,
  };
}

/** Of frame `frame`: its own functional group before the shared one before the dataset itself. */
export function presentation(dataset: Dataset, frame: number, signed: boolean): Presentation {
  const own = dataset.item("x52009230", frame);
  const shared = dataset.item("x52009229");
  const group = (tag: string) => own?.item(tag) ?? shared?.item(tag) ?? dataset;
  const values = group("x00289145"); // Pixel Value Transformation
  const voi = group("x00289132"); // Frame VOI LUT
  const shape = dataset.text("x20500020"); // Presentation LUT Shape
  return {
    slope: values.decimal("x00281053") || 1,
    intercept: values.decimal("x00281052") ?? 0,
    modalityLut: lut(dataset.item("x00283000"), signed),
    windows: windows(voi),
    voiLut: lut(voi.item("x00283010"), signed),
    inverted: shape ? shape === "INVERSE" : dataset.text("x00280004") === "MONOCHROME1",
    aspect: aspect(dataset, group("x00289110")),
  };
}

function windows(dataset: Dataset): Window[] {
  const centers = dataset.decimals("x00281050");
  const widths = dataset.decimals("x00281051");
  const names = dataset.strings("x00281055");
  const named = dataset.text("x00281056");
  const shape = named === "LINEAR_EXACT" || named === "SIGMOID" ? named : "LINEAR";
  return centers.flatMap((center, i) => {
    const width = widths[i] ?? 0;
    // C.11.2.1.2.1: LINEAR needs a width of at least 1; one of zero is a modality's way to say "none".
    return width > 0 && (width >= 1 || shape !== "LINEAR") ? [{ center, width, shape, name: names[i] ?? "" }] : [];
  });
}

function lut(item: Dataset | undefined, signed: boolean): Lut | undefined {
  const count = item?.u16("x00283002", 0);
  if (!item || count === undefined) return undefined;
  const first = item.u16("x00283002", 1) ?? 0;
  const bits = item.u16("x00283002", 2) ?? 16;
  const values = item.words("x00283006");
  // 0 means 65536 (PS3.3 C.11.1.1.1), which does not fit in an US.
  if (values.length < (count || 65536)) return undefined;
  return { first: signed && first > 0x7fff ? first - 0x10000 : first, bits: bits || 16, values };
}

function aspect(dataset: Dataset, measures: Dataset): number {
  const ratio = dataset.decimals("x00280034");
  const spacing = [measures.decimals("x00280030"), dataset.decimals("x00181164")].find((pair) => pair.length >= 2);
  const [vertical = 1, horizontal = 1] = spacing ?? ratio;
  const value = vertical / horizontal;
  // Beyond this it is a wrong entry, and a stretched body part would mislead.
  return value > 0.1 && value < 10 ? value : 1;
}

/** Time from one frame to the next: Frame Time, or from a rate; 0 where neither is given. */
export function frameMs(dataset: Dataset): number {
  const time = dataset.decimal("x00181063");
  if (time && time > 0) return time;
  const rate = dataset.decimal("x00082144") ?? dataset.decimal("x00180040");
  return rate && rate > 0 ? 1000 / rate : 0;
}
