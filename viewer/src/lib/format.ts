/** DICOM's values as a person writes them. */
import { texts } from "./texts.ts";

/** "Rivers^Ada^^Dr" to "Dr Ada Rivers"; the first group that says anything (PS3.5 6.2.1). */
export function personName(value: string): string {
  const group = value.split("=").find((part) => part.replaceAll("^", "").trim() !== "") ?? "";
  const [family = "", given = "", middle = "", prefix = "", suffix = ""] = group.split("^").map((part) => part.trim());
  return [prefix, given, middle, family, suffix].filter(Boolean).join(" ");
}

/** "20260114" to "14 January 2026"; "" for what is no date. */
export function dicomDate(value: string): string {
  const match = /^(\d{4})\.?(\d{2})\.?(\d{2})/.exec(value);
  if (!match) return "";
  const date = new Date(Date.UTC(Number(match[1]), Number(match[2]) - 1, Number(match[3])));
  // The month in letters: 3/4 is another day in the next country.
  return new Intl.DateTimeFormat(dateLocale(), { dateStyle: "long", timeZone: "UTC" }).format(date);
}

export function moment(unixSeconds: number): string {
  const date = new Date(unixSeconds * 1000);
  return new Intl.DateTimeFormat(dateLocale(), { dateStyle: "full", timeStyle: "short" }).format(date);
}

export function monthNames(): string[] {
  const format = new Intl.DateTimeFormat(dateLocale(), { month: "long", timeZone: "UTC" });
  return Array.from({ length: 12 }, (_, month) => format.format(new Date(Date.UTC(2000, month, 1))));
}

/** The person's own country's way of writing, in the language of the page. */
function dateLocale(): string {
  const own = typeof navigator === "undefined" ? [] : navigator.languages;
  return own.find((tag) => tag.startsWith(texts.language)) ?? texts.language;
}

export function bytes(size: number): string {
  const units = ["bytes", "kB", "MB", "GB"];
  let value = size;
  let unit = 0;
  while (value >= 1000 && unit < units.length - 1) {
    value /= 1000;
    unit++;
  }
  return `${value < 10 && unit > 0 ? value.toFixed(1) : Math.round(value)} ${units[unit]}`;
}
