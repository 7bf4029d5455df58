/** Says over whatever is looked at that something new has come, and takes the person there when they want. */
import { texts } from "../lib/texts.ts";
import { h, icon } from "./dom.ts";

const words = texts.news;

export class Banner {
  // Not the banner itself: what is read aloud must be on the page before it says something.
  private readonly said = h("p", { role: "status", "data-testid": "news-text" });
  private readonly card: HTMLElement;
  readonly element: HTMLElement;

  constructor(show: () => void, later: () => void) {
    const go = h("button", { class: "primary", "data-testid": "news-show", click: show }, words.show);
    const close = h("button", { class: "tool", "aria-label": words.later, "data-testid": "news-later", click: later });
    close.append(icon("close"));
    this.card = h("div", { class: "banner-buttons", hidden: true }, go, close);
    this.element = h("div", { class: "banner", "data-testid": "news" }, this.said, this.card);
  }

  /** "" puts it away. Said once: the same words again are no news. */
  say(text: string): void {
    if (this.said.textContent !== text) this.said.textContent = text;
    this.card.hidden = text === "";
  }
}
