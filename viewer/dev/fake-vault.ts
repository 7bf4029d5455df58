/** A vault that forgets: the patient API over one share made of real files, for looking at the page.
 *
 *     npm run build && npm run dev      prints one link for each thing that can happen
 */
import { createHash } from "node:crypto";
import type { IncomingMessage, ServerResponse } from "node:http";
import type { Plugin } from "vite";
import { decode, encode } from "../src/lib/base64url.ts";
import type { Bytes } from "../src/lib/bytes.ts";
import { type FactorKind, factorBytes } from "../src/lib/envelope.ts";
import { type Link, linkToken } from "../src/lib/link.ts";
import { random, verifier, wrap } from "../tests/seal.ts";
import { type FakeShare, fakeShare } from "./share.ts";

export const CSP = [
  "default-src 'none'",
  "script-src 'self' 'wasm-unsafe-eval'",
  "worker-src 'self'",
  "connect-src 'self'",
  "img-src 'self' blob: data:",
  "media-src blob:",
  "style-src 'self'",
  "font-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join("; ");

const LATE_AFTER_S = 8;

interface FakeLink {
  readonly link: Link;
  readonly name: string;
  readonly factor: FactorKind;
  readonly value: string;
  readonly behaviour: "complete" | "growing" | "quiet" | "late" | "missing" | "altered" | "";
  readonly shareKey: Bytes;
  state: string;
  tries: number;
  openedAt: number;
}

const SCENES: [name: string, factor: FactorKind, value: string, state: string, behaviour: FakeLink["behaviour"]][] = [
  ["complete", "birth-date", "19700131", "active", "complete"],
  ["growing", "none", "", "active", "growing"],
  ["quiet", "pin", "123456", "active", "quiet"],
  ["late", "none", "", "active", "late"],
  ["missing", "none", "", "active", "missing"],
  ["altered", "none", "", "active", "altered"],
  ["expired", "birth-date", "19700131", "expired", ""],
  ["revoked", "birth-date", "19700131", "revoked", ""],
  ["locked", "birth-date", "19700131", "locked", ""],
];

const STATES: Record<string, string> = { quiet: "quiet", late: "quiet", missing: "quiet" };

/** How many instances are listed: a few a second while it grows; a handful after all seemed to be here. */
function countAfter(seconds: number, behaviour: FakeLink["behaviour"], total: number): number {
  if (behaviour === "growing") return Math.min(total, Math.floor(seconds * 1.5));
  return behaviour === "late" && seconds < LATE_AFTER_S ? total - 4 : total;
}

export class FakeVault {
  readonly links: FakeLink[] = SCENES.map(([name, factor, value, state, behaviour]) => ({
    link: { id: random(16), secret: random(32) },
    name,
    factor,
    value,
    state,
    behaviour,
    shareKey: random(32),
    tries: state === "locked" ? 0 : 5,
    openedAt: 0,
  }));

  constructor(private readonly share: FakeShare) {}

  async handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    if (request.url === "/api/v1/dev/revoke") for (const link of this.links) link.state = "revoked";
    const path = (request.url ?? "").replace(/^\/api\/v1\//, "");
    const [kind, id, action] = path.split("/");
    if (kind === "links" && id) {
      const link = this.links.find(({ link }) => encode(link.id) === id);
      if (!link) fail(response, 404, "link_unknown");
      else if (action === "open") await this.open(link, request, response);
      else state(link, response);
      return;
    }
    const token = (request.headers.authorization ?? "").replace("Bearer ", "");
    const link = this.links.find(({ link, openedAt }) => openedAt && encode(link.id) === token);
    if (link?.state !== "active") fail(response, 401, "token_unknown");
    else if (kind === "manifest") this.manifest(link, request, response);
    else this.object(link, Number(id), request, response);
  }

  private async open(link: FakeLink, request: IncomingMessage, response: ServerResponse): Promise<void> {
    if (link.state !== "active") {
      fail(response, link.state === "locked" ? 423 : 410, `link_${link.state}`);
      return;
    }
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    const proof = decode(JSON.parse(Buffer.concat(chunks).toString()).proof, 32);
    const shown = createHash("sha256").update(proof).digest();
    if (!shown.equals(verifier(link.link, link.factor, link.value))) {
      link.tries--;
      if (link.tries === 0) link.state = "locked";
      fail(response, link.tries ? 401 : 423, link.tries ? "wrong_factor" : "link_locked", link.tries);
      return;
    }
    link.openedAt = Date.now();
    const { id, dataKey } = this.share;
    const factor = factorBytes(link.factor, link.value);
    json(response, 200, {
      share_id: encode(id),
      share_key: encode(link.shareKey),
      envelope: encode(wrap(link.link, link.shareKey, factor, id, dataKey)),
      token: encode(link.link.id),
      token_expires_at: now() + 3600,
      expires_at: now() + 604800,
      now: now(),
    });
  }

  private manifest(link: FakeLink, request: IncomingMessage, response: ServerResponse): void {
    const { total } = this.share;
    const seconds = (Date.now() - link.openedAt) / 1000;
    const count = countAfter(seconds, link.behaviour, total);
    if (count === 0) {
      fail(response, 404, "manifest_pending");
      return;
    }
    const etag = `"${count}"`;
    if (request.headers["if-none-match"] === etag) {
      response.writeHead(304, { ETag: etag }).end();
      return;
    }
    const state = link.behaviour === "growing" && count < total ? "arriving" : STATES[link.behaviour];
    const sealed = this.share.manifest(count, count, state ?? "complete", link.behaviour === "missing" ? 2 : 0);
    const headers = { "Content-Type": "application/octet-stream", "Slipway-Generation": String(count), ETag: etag };
    response.writeHead(200, headers).end(sealed);
  }

  private object(link: FakeLink, n: number, request: IncomingMessage, response: ServerResponse): void {
    const object = this.share.objects[n];
    if (!object) {
      fail(response, 404, "object_unknown");
      return;
    }
    const range = /^bytes=(\d+)-(\d+)$/.exec(request.headers.range ?? "");
    const body = Buffer.from(range ? object.slice(Number(range[1]), Number(range[2]) + 1) : object);
    if (link.behaviour === "altered" && n % 4 === 2) body[100] = body[100]! ^ 1;
    response.writeHead(range ? 206 : 200, { "Content-Type": "application/octet-stream" }).end(body);
  }
}

function state(link: FakeLink, response: ServerResponse): void {
  const codes: Record<string, number> = { expired: 410, revoked: 410, locked: 423 };
  const status = codes[link.state];
  if (status) {
    fail(response, status, `link_${link.state}`);
    return;
  }
  const { factor, tries } = link;
  json(response, 200, { state: "active", factor, expires_at: now() + 604800, tries_left: tries, now: now() });
}

function fail(response: ServerResponse, status: number, code: string, tries?: number): void {
  const body = { error: { code, message: code, hint: "" }, now: now() };
  json(response, status, tries === undefined ? body : { ...body, tries_left: tries });
}

function json(response: ServerResponse, status: number, body: unknown): void {
  response.writeHead(status, { "Content-Type": "application/json", "Cache-Control": "no-store" });
  response.end(JSON.stringify(body));
}

function now(): number {
  return Math.floor(Date.now() / 1000);
}

export function fakeVaultPlugin(extra: readonly string[]): Plugin {
  return {
    name: "fake-vault",
    async configurePreviewServer(server) {
      const share = await fakeShare(extra.map((path) => ({ name: path, path })));
      const vault = new FakeVault(share);
      server.middlewares.use((request, response, next) => {
        response.setHeader("Content-Security-Policy", CSP);
        response.setHeader("Referrer-Policy", "no-referrer");
        if (request.url?.startsWith("/api/v1/")) void vault.handle(request, response);
        else next();
      });
      for (const { name, link, value } of vault.links) {
        server.config.logger.info(
          `${name}\thttp://127.0.0.1:${server.config.preview.port}/#${linkToken(link)}\t${value}`,
        );
      }
    },
  };
}
