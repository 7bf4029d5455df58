import { codeOf, PageError } from "./lib/errors.ts";
import { type Link, parseLink } from "./lib/link.ts";
import { Loader } from "./lib/loader.ts";
import { Session, stateCode } from "./lib/session.ts";
import { texts } from "./lib/texts.ts";
import * as vault from "./lib/vault.ts";
import { showFactorForm } from "./ui/factor.ts";
import { showMessage, showWaiting } from "./ui/message.ts";
import { StudyScreen } from "./ui/study.ts";
import "./style.css";

// First of all, before anything can fail: the secret leaves the address bar, and with it history and screenshots.
let fragment = takeFragment();

let close: () => void = () => {};

// The list under the viewer is put back by the page itself, which knows where new images are.
history.scrollRestoration = "manual";

function takeFragment(): string {
  const taken = location.hash;
  history.replaceState(null, "", location.pathname);
  return taken;
}

function start(): void {
  close();
  const root = document.getElementById("page")!;
  document.documentElement.lang = texts.language;
  document.title = texts.pageTitle;
  try {
    const link = parseLink(fragment);
    fragment = "";
    void begin(root, link);
  } catch (error) {
    showMessage(root, codeOf(error));
  }
}

/** Asks what the link wants. Nothing is opened before the person does something. */
async function begin(root: HTMLElement, link: Link): Promise<void> {
  showWaiting(root);
  try {
    const state = await vault.linkState(link.id);
    const refusal = stateCode(state.state);
    if (refusal) showMessage(root, refusal, () => void begin(root, link));
    else showFactorForm(root, state, (value) => open(root, link, state, value));
  } catch (error) {
    showMessage(root, codeOf(error), () => void begin(root, link));
  }
}

async function open(root: HTMLElement, link: Link, state: vault.LinkState, value: string): Promise<void> {
  try {
    follow(root, await Session.open(link, state.factor, value));
  } catch (error) {
    // The last try is answered as a wrong one: what matters to the person is that there is none left.
    const code = error instanceof PageError && error.triesLeft === 0 ? "link_locked" : codeOf(error);
    if (!["link_expired", "link_revoked", "link_locked", "link_unknown"].includes(code)) throw error;
    showMessage(root, code);
  }
}

function follow(root: HTMLElement, session: Session): void {
  const loader = new Loader(session.token);
  loader.refused = () => session.hurry();
  const screen = new StudyScreen(root, loader, session.expiresAt);
  close = () => {
    session.stop();
    screen.close();
    loader.close();
    close = () => {};
  };
  void session.follow({
    manifest: (manifest) => screen.update(manifest),
    trouble: (code) => screen.trouble(code),
    ended: (code) => {
      close();
      showMessage(root, code);
    },
  });
}

// Another slip scanned into the same tab changes the fragment only.
addEventListener("hashchange", () => {
  if (location.hash === "") return;
  fragment = takeFragment();
  start();
});

start();
