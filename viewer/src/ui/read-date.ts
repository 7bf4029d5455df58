/** A date of birth out of three fields. */
import { texts } from "../lib/texts.ts";

const words = texts.factor;
const DAY_MS = 86_400_000; // somewhere it is tomorrow already

/** A date that cannot be is refused here, so that it costs no try. */
export function readDate(day: string, month: string, year: string, now = Date.now()) {
  const [d, m, y] = [day, month, year].map((part) => (/^\s*\d+\s*$/.test(part) ? Number(part) : 0)) as [
    number,
    number,
    number,
  ];
  const date = new Date(Date.UTC(y, m - 1, d));
  if (y < 1850 || date.getUTCMonth() !== m - 1 || date.getUTCDate() !== d) return { complaint: words.notADate };
  if (date.getTime() > now + DAY_MS) return { complaint: words.inFuture };
  return { value: `${y}${String(m).padStart(2, "0")}${String(d).padStart(2, "0")}` };
}
