/** From a link to an open share, against a vault made of a function: what is asked, what is refused, what is said. */
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { encode } from "../src/lib/base64url.ts";
import { factorBytes } from "../src/lib/envelope.ts";
import type { ErrorCode } from "../src/lib/errors.ts";
import type { Manifest } from "../src/lib/manifest.ts";
import { PACE, pauseMs, Session } from "../src/lib/session.ts";
import * as vault from "../src/lib/vault.ts";
import { random, sealManifest, wrap } from "./seal.ts";

type Answer = (path: string, init: RequestInit) => Response | Promise<Response>;

const shareId = random(16);
const dataKey = random(32);
const shareKey = random(32);

function newLink() {
  return { id: random(16), secret: random(32) };
}

function sealed(generation: number, state = "arriving", received = 3): Response {
  const manifest = { format: "slipway-manifest/1", generation, state, received, studies: [] };
  const headers = { "Slipway-Generation": String(generation), ETag: `"${generation}"` };
  return new Response(sealManifest(dataKey, shareId, manifest), { headers });
}

function refusal(status: number, code: string, more: object = {}): Response {
  return Response.json({ error: { code, message: "", hint: "" }, now: 1, ...more }, { status });
}

function opened(link: { id: Uint8Array; secret: Uint8Array }): Response {
  const envelope = wrap(structuredClone(link) as never, shareKey, factorBytes("none", ""), shareId, dataKey);
  return Response.json({
    share_id: encode(shareId),
    share_key: encode(shareKey),
    envelope: encode(envelope),
    token: "TOKEN",
    token_expires_at: 2,
    expires_at: 3,
    now: 1,
  });
}

const AT_ONCE = { growingMs: 1, growingAtMostMs: 1, settledMs: 1, settledAtMostMs: 1 };

let asked: { path: string; init: RequestInit }[] = [];

function serve(answer: Answer): void {
  asked = [];
  vi.stubGlobal("fetch", async (url: string, init: RequestInit) => {
    const path = url.replace("/api/v1/", "");
    asked.push({ path, init });
    return answer(path, init);
  });
}

beforeEach(() => {
  vi.stubGlobal("document", { hidden: false, addEventListener() {}, removeEventListener() {} });
  vi.stubGlobal("addEventListener", () => {});
  vi.stubGlobal("removeEventListener", () => {});
});

afterEach(() => {
  vi.unstubAllGlobals();
});

/** Opens a share and follows it through the answers given, one for each question for the manifest. */
async function follow(answers: Response[], state: Response = refusal(410, "link_revoked"), pace = AT_ONCE) {
  const link = newLink();
  const envelope = opened(link);
  let next = 0;
  serve((path) => {
    if (path.endsWith("/open")) return envelope;
    if (path === "manifest") return answers[next++] ?? new Response(null, { status: 304 });
    return state;
  });
  const session = await Session.open(link, "none", "", pace);
  const seen: { manifests: Manifest[]; troubles: (ErrorCode | undefined)[]; ended?: ErrorCode } = {
    manifests: [],
    troubles: [],
  };
  const following = session.follow({
    manifest: (manifest) => seen.manifests.push(manifest),
    trouble: (code) => seen.troubles.push(code),
    ended: (code) => {
      seen.ended = code;
    },
  });
  await Promise.race([following, vi.waitUntil(() => next > answers.length + 1)]);
  session.stop();
  await following;
  return { link, seen };
}

describe("opening", () => {
  it("posts the proof, never the factor, and forgets the secret", async () => {
    const { link } = await follow([]);
    const post = asked.find(({ path }) => path.endsWith("/open"))!;
    expect(post.init.method).toBe("POST");
    expect(Object.keys(JSON.parse(String(post.init.body)))).toEqual(["proof"]);
    expect(link.secret.every((byte) => byte === 0)).toBe(true);
  });

  it("says how many tries are left", async () => {
    serve(() => refusal(401, "wrong_factor", { tries_left: 3 }));
    const opening = Session.open(newLink(), "birth-date", "19700131");
    await expect(opening).rejects.toMatchObject({ code: "wrong_factor", triesLeft: 3 });
  });

  it("is not tried again by itself, for it could cost another try", async () => {
    serve(() => Promise.reject(new TypeError("network")));
    await expect(Session.open(newLink(), "none", "")).rejects.toMatchObject({ code: "unreachable" });
    expect(asked).toHaveLength(1);
  });

  it("refuses another link's envelope", async () => {
    const other = opened(newLink());
    serve(() => other);
    await expect(Session.open(newLink(), "none", "")).rejects.toMatchObject({ code: "altered" });
  });
});

describe("following", () => {
  it("takes newer generations and asks with the last ETag", async () => {
    const { seen } = await follow([sealed(1), sealed(2)]);
    expect(seen.manifests.map(({ generation }) => generation)).toEqual([1, 2]);
    const last = asked.at(-1)!.init.headers as Record<string, string>;
    expect(last).toMatchObject({ Authorization: "Bearer TOKEN", "If-None-Match": '"2"' });
  });

  it("never accepts an older generation", async () => {
    const { seen } = await follow([sealed(5), sealed(4)]);
    expect(seen.manifests.map(({ generation }) => generation)).toEqual([5]);
    expect(seen.troubles).toContain("altered");
  });

  it("refuses a generation under another's number", async () => {
    const renamed = sealed(1);
    const { seen } = await follow([new Response(renamed.body, { headers: { "Slipway-Generation": "9" } })]);
    expect(seen.manifests).toEqual([]);
    expect(seen.troubles).toContain("altered");
  });

  it("goes on after a pending manifest and a lost network", async () => {
    const { seen } = await follow([refusal(404, "manifest_pending"), new Response(null, { status: 503 }), sealed(1)]);
    expect(seen.troubles.slice(0, 2)).toEqual(["manifest_pending", "unreachable"]);
    expect(seen.manifests).toHaveLength(1);
  });

  it("ends when the link dies, and says why", async () => {
    expect((await follow([sealed(1), refusal(401, "token_unknown")])).seen.ended).toBe("link_revoked");
    const active = Response.json({ state: "active", factor: "none", expires_at: 1, tries_left: 5, now: 1 });
    expect((await follow([refusal(401, "token_unknown")], active)).seen.ended).toBe("token_unknown");
    expect((await follow([refusal(410, "link_expired")])).seen.ended).toBe("link_expired");
  });
});

describe("how often the vault is asked", () => {
  const hour = 3_600_000;

  /** Questions in an hour of looking at a page on which nothing happens. */
  function questions(growing: boolean): number {
    let count = 0;
    for (let at = 0; at < hour; at += pauseMs(PACE, growing, count)) count++;
    return count;
  }

  it("is a few times a minute while images arrive, and hardly ever when all are here", () => {
    expect(pauseMs(PACE, true, 0)).toBe(2_000);
    expect(questions(true)).toBeLessThan(260);
    expect(questions(false)).toBeLessThan(40);
    expect(pauseMs(PACE, false, 1e9)).toBe(PACE.settledAtMostMs);
  });

  /** Pauses between the questions, none of which is waited for. */
  function pauses(): number[] {
    const asked: number[] = [];
    const now = globalThis.setTimeout;
    vi.stubGlobal("setTimeout", (work: () => void, ms: number) => {
      if (ms >= 1_000) asked.push(ms);
      return now(work, ms >= 1_000 ? 0 : ms);
    });
    return asked;
  }

  const same = () => new Response(null, { status: 304 });

  it("is as often as at first when something has come", async () => {
    const waited = pauses();
    await follow([sealed(1, "quiet", 0), same(), same(), sealed(2, "quiet", 0), same()], undefined, PACE);
    expect(waited.slice(0, 5)).toEqual([10_000, 15_000, 22_500, 10_000, 15_000]);
  });

  it("heeds what the vault says of when to ask again", async () => {
    const waited = pauses();
    const busy = refusal(429, "too_many_requests");
    busy.headers.set("Retry-After", "50");
    await follow([sealed(1, "quiet", 0), busy, same()], undefined, PACE);
    expect(waited.slice(0, 3)).toEqual([10_000, 50_000, 22_500]);
  });

  it("is often again when somebody comes back to the page", async () => {
    const listeners: (() => void)[] = [];
    const addEventListener = (_: string, listener: () => void) => listeners.push(listener);
    vi.stubGlobal("document", { hidden: false, addEventListener, removeEventListener() {} });
    const waited = pauses();
    const following = follow([sealed(1, "quiet", 0), ...Array.from({ length: 40 }, same)], undefined, PACE);
    await vi.waitUntil(() => waited.length >= 5, { interval: 1 });
    for (const listener of listeners) listener();
    await following;
    expect(waited.slice(4)).toContain(15_000);
  });

  it("is never while nobody looks, and at once when somebody looks again", async () => {
    const listeners: (() => void)[] = [];
    const addEventListener = (_: string, listener: () => void) => listeners.push(listener);
    const page = { hidden: true, addEventListener, removeEventListener() {} };
    vi.stubGlobal("document", page);
    const waited = pauses();
    const following = follow([sealed(1, "quiet", 0), sealed(2, "quiet", 0)], undefined, PACE);
    const questions = () => asked.filter(({ path }) => path === "manifest").length;
    await vi.waitUntil(() => questions() === 1);
    await new Promise((resolve) => setImmediate(resolve));
    expect([questions(), waited]).toEqual([1, []]);
    page.hidden = false;
    await vi.waitUntil(() => {
      for (const listener of listeners) listener();
      return questions() >= 2;
    });
    const { seen } = await following;
    expect(seen.manifests.map(({ generation }) => generation)).toEqual([1, 2]);
  });
});

describe("objects", () => {
  const object = random(100);

  it("are asked for by range, and cut where the server sends the whole", async () => {
    serve(() => new Response(object, { status: 200 }));
    expect(await vault.objectRange("T", 3, 10, 5)).toEqual(object.slice(10, 15));
    expect(asked[0]).toMatchObject({ path: "objects/3", init: { headers: { Range: "bytes=10-14" } } });
  });

  it("that are too short are refused", async () => {
    serve(() => new Response(object.slice(10, 14), { status: 206 }));
    await expect(vault.objectRange("T", 0, 10, 5)).rejects.toMatchObject({ code: "altered" });
  });

  it("are tried again when the network fails", async () => {
    let failures = 2;
    serve(() => (failures-- > 0 ? Promise.reject(new TypeError()) : new Response(object.slice(0, 5), { status: 206 })));
    expect(await vault.objectRange("T", 0, 0, 5)).toEqual(object.slice(0, 5));
  });

  it("are not tried again when the vault refuses", async () => {
    serve(() => refusal(401, "token_unknown"));
    await expect(vault.objectRange("T", 0, 0, 5)).rejects.toMatchObject({ code: "token_unknown" });
    expect(asked).toHaveLength(1);
  });
});
