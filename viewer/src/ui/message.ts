/** A screen that is one sentence and what to do next. */
import type { ErrorCode } from "../lib/errors.ts";
import { noticeFor, texts } from "../lib/texts.ts";
import { h, icon, show } from "./dom.ts";

const RETRYABLE: readonly ErrorCode[] = ["unreachable", "too_many_requests", "vault_failed", "link_unknown", "altered"];
const ICONS: Partial<Record<ErrorCode, string>> = {
  link_absent: "scan",
  link_mistyped: "scan",
  link_expired: "clock",
  token_unknown: "clock",
  link_locked: "lock",
  unreachable: "offline",
  manifest_pending: "clock",
};

export function showMessage(root: HTMLElement, code: ErrorCode, retry?: () => void): void {
  const { title, next } = noticeFor(code);
  const card = h(
    "div",
    { class: "card notice", "data-testid": "message", "data-code": code, role: "alert" },
    h("span", { class: "badge" }, icon(ICONS[code] ?? "info")),
    h("h1", { tabindex: -1 }, title),
    h("p", {}, next),
  );
  const again = retry && RETRYABLE.includes(code);
  const button = again ? [h("button", { class: "primary", "data-testid": "retry", click: retry }, texts.retry)] : [];
  show(root, h("main", { class: "centered" }, card, ...button));
  card.querySelector("h1")?.focus();
}

export function showWaiting(root: HTMLElement): void {
  const wheel = h("span", { class: "spinner", "aria-hidden": "true" });
  show(root, h("main", { class: "centered", "aria-busy": "true" }, wheel, h("p", { role: "status" }, texts.loading)));
}
