/** A series as a row of pictures. */
import { fileKind } from "./kinds.ts";
import type { Instance, Series } from "./manifest.ts";
import { texts } from "./texts.ts";

/** One picture that can be shown: a frame of an instance. */
export interface Slot {
  readonly instance: Instance;
  readonly frame: number;
}

export function slotsOf(series: Series): Slot[] {
  const drawable = series.instances.filter((instance) => !fileKind(instance));
  return drawable.flatMap((instance) => Array.from({ length: instance.frames }, (_, frame) => ({ instance, frame })));
}

export function seriesName(series: Series): string {
  return series.description || texts.modalities[series.modality] || texts.study.unnamedSeries;
}
