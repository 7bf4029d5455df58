/** The form that asks for the date of birth or the PIN. */
import type { FactorKind } from "../lib/envelope.ts";
import { PageError } from "../lib/errors.ts";
import { moment, monthNames } from "../lib/format.ts";
import { noticeFor, texts } from "../lib/texts.ts";
import type { LinkState } from "../lib/vault.ts";
import { h, icon, show } from "./dom.ts";
import { readDate } from "./read-date.ts";

const words = texts.factor;

/** Resolves when the share is open; what went wrong otherwise is said in the form. */
export type TryOpen = (value: string) => Promise<void>;

interface Fields {
  readonly elements: HTMLElement[];
  /** The factor's value, or a sentence that says what is wrong with it before a try is spent. */
  read(): { value: string } | { complaint: string };
}

export function showFactorForm(root: HTMLElement, state: LinkState, tryOpen: TryOpen): void {
  const fields = FIELDS[state.factor]();
  const message = h("div", { class: "complaint", role: "alert" });
  const submit = h("button", { class: "primary", type: "submit", "data-testid": "factor-submit" }, words.submit);
  const form = h("form", { novalidate: true, autocomplete: "off" }, ...fields.elements, message, submit);
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const read = fields.read();
    if ("complaint" in read) complain(message, read.complaint);
    else void attempt(read.value, state.factor, tryOpen, message, submit);
  });
  show(root, h("main", { class: "centered" }, intro(state), form, ...footer(state)));
  (form.querySelector("input") ?? submit).focus();
}

function intro(state: LinkState): HTMLElement {
  const leads = { "birth-date": words.birthDateLead, pin: words.pinLead, none: words.noneLead };
  const badge = h("span", { class: "badge" }, icon("shield"));
  return h("div", { class: "intro" }, badge, h("h1", {}, words.title), h("p", {}, leads[state.factor]));
}

function footer(state: LinkState): HTMLElement[] {
  const lines = state.factor === "none" ? [] : [words.privacy];
  if (state.expiresAt > 0) lines.push(words.expires(moment(state.expiresAt)));
  return [h("div", { class: "small" }, ...lines.map((line) => h("p", {}, line)))];
}

async function attempt(
  value: string,
  kind: FactorKind,
  tryOpen: TryOpen,
  message: HTMLElement,
  submit: HTMLButtonElement,
): Promise<void> {
  complain(message, "");
  submit.disabled = true;
  submit.textContent = words.opening;
  try {
    await tryOpen(value);
  } catch (error) {
    complain(message, ...sentences(error, kind));
  } finally {
    submit.disabled = false;
    submit.textContent = words.submit;
  }
}

function sentences(error: unknown, kind: FactorKind): string[] {
  if (!(error instanceof PageError)) return [noticeFor("vault_failed").title, noticeFor("vault_failed").next];
  const left = error.triesLeft;
  if (error.code === "wrong_factor" && left !== undefined) {
    const wrong = kind === "pin" ? words.wrongPin(left) : words.wrongDate(left);
    return left === 1 ? [wrong, words.lastTry] : [wrong];
  }
  const { title, next } = noticeFor(error.code);
  return [title, next];
}

function complain(message: HTMLElement, ...lines: string[]): void {
  const said = lines.filter(Boolean);
  message.replaceChildren(...said.map((line) => h("p", {}, line)));
  if (said.length > 0) message.dataset.testid = "message";
  else delete message.dataset.testid;
}

const FIELDS: Record<FactorKind, () => Fields> = { "birth-date": birthDateFields, pin: pinFields, none: noFields };

function noFields(): Fields {
  return { elements: [], read: () => ({ value: "" }) };
}

function pinFields(): Fields {
  const input = numberInput("factor-pin", 12, "");
  return {
    elements: [h("label", { class: "field" }, words.pin, input)],
    read: () => {
      const value = input.value.replace(/\s/g, "");
      return /^\d{4,12}$/.test(value) ? { value } : { complaint: words.notAPin };
    },
  };
}

/** Three fields, the month by name: 3/4/1970 is read differently from country to country. */
function birthDateFields(): Fields {
  const day = numberInput("factor-day", 2, words.dayExample);
  const year = numberInput("factor-year", 4, words.yearExample);
  const month = h(
    "select",
    { "data-testid": "factor-month", autocomplete: "off", required: true },
    h("option", { value: "", disabled: true, selected: true }, words.chooseMonth),
    ...monthNames().map((name, index) => h("option", { value: String(index + 1) }, name)),
  );
  const group = h(
    "fieldset",
    { class: "date" },
    h("legend", {}, words.birthDate),
    h("label", { class: "field" }, words.day, day),
    h("label", { class: "field" }, words.month, month),
    h("label", { class: "field" }, words.year, year),
  );
  return { elements: [group], read: () => readDate(day.value, month.value, year.value) };
}

function numberInput(testid: string, digits: number, example: string): HTMLInputElement {
  return h("input", {
    "data-testid": testid,
    type: "text",
    inputmode: "numeric",
    maxlength: digits,
    placeholder: example,
    autocomplete: "off",
    autocorrect: "off",
    spellcheck: "false",
    required: true,
  });
}
