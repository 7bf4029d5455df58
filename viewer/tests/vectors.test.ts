/** The formats against tests/vectors, which the Python side wrote. */
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { decode, encode } from "../src/lib/base64url.ts";
import type { Bytes } from "../src/lib/bytes.ts";
import { type FactorKind, factorBytes, proof, unwrap, unwrapRaw } from "../src/lib/envelope.ts";
import { crc16, linkToken, parseLink } from "../src/lib/link.ts";
import { openManifest } from "../src/lib/manifest.ts";
import { importStreamKey, openWhole, SEGMENT_BYTES, sealedSize } from "../src/lib/stream.ts";
import { sealStream } from "./seal.ts";

function vectors<T>(name: string): T {
  return JSON.parse(readFileSync(join(import.meta.dirname, "..", "..", "tests", "vectors", `${name}.json`), "utf8"));
}

function flipped(bytes: Bytes, at: number): Bytes {
  const copy = bytes.slice();
  copy[at]! ^= 1;
  return copy;
}

function sha256(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex");
}

describe("base64url", () => {
  it.each(["=", "ab=", "a", "A+", "A/", "AB", "é"])("refuses %j", (text) => {
    expect(() => decode(text)).toThrow();
  });

  it("refuses another size", () => {
    expect(() => decode("AAAA", 4)).toThrow();
    expect(decode("AAAA", 3)).toEqual(new Uint8Array(3));
  });
});

describe("link", () => {
  const { good, bad } = vectors<{ good: { url: string; link_id: string; secret: string }[]; bad: string[] }>("link");

  it.for(good)("reads $url", ({ url, link_id, secret }) => {
    const link = parseLink(url);
    expect([encode(link.id), encode(link.secret)]).toEqual([link_id, secret]);
    expect(url).toContain(linkToken(link));
  });

  it.for(bad)("refuses %s", (url) => {
    expect(() => parseLink(url)).toThrow(/^link_(absent|mistyped)/);
  });

  it("notices every single mistyped character", () => {
    const token = linkToken(parseLink(good[0]!.url));
    for (let at = 0; at < token.length; at++) {
      const other = token[at] === "A" ? "B" : "A";
      expect(() => parseLink(`#${token.slice(0, at)}${other}${token.slice(at + 1)}`)).toThrow();
    }
  });

  it("never says the secret in an error", () => {
    const token = linkToken(parseLink(good[0]!.url));
    for (const wrong of [token.slice(0, 60), `${token.slice(0, 66)}!`, `X${token.slice(1)}`]) {
      expect(() => parseLink(`#${wrong}`)).toThrow(expect.not.stringContaining(token.slice(30, 40)) as never);
    }
  });

  it("has the published check value", () => {
    expect(crc16(new TextEncoder().encode("123456789"))).toBe(0x29b1);
  });
});

interface EnvelopeCase {
  kind: FactorKind;
  value: string;
  link_id: string;
  secret: string;
  share_key: string;
  proof: string;
  share_id: string;
  data_key: string;
  envelope: string;
}

describe("envelope", () => {
  describe.for(vectors<EnvelopeCase[]>("envelope"))("with $kind", (vector) => {
    const link = { id: decode(vector.link_id), secret: decode(vector.secret) };
    const factor = factorBytes(vector.kind, vector.value);
    const [shareKey, envelope] = [decode(vector.share_key), decode(vector.envelope)];

    it("proves", async () => {
      expect(encode(await proof(link, factor))).toBe(vector.proof);
    });

    it("opens", async () => {
      const opened = await unwrapRaw(link, shareKey, factor, envelope);
      expect([encode(opened.shareId), encode(opened.dataKey)]).toEqual([vector.share_id, vector.data_key]);
    });

    it("hands out a key that cannot be read", async () => {
      const { dataKey } = await unwrap(link, shareKey, factor, envelope);
      expect(dataKey.extractable).toBe(false);
    });

    it("refuses every flipped byte", async () => {
      for (let at = 0; at < envelope.length; at++) {
        await expect(unwrap(link, shareKey, factor, flipped(envelope, at))).rejects.toThrow("altered");
      }
    });

    it("refuses another factor, another share key and another length", async () => {
      const other = factorBytes("pin", "9999");
      await expect(unwrap(link, shareKey, other, envelope)).rejects.toThrow("another link");
      await expect(unwrap(link, flipped(shareKey, 0), factor, envelope)).rejects.toThrow("another link");
      await expect(unwrap(link, shareKey, factor, envelope.slice(0, 108))).rejects.toThrow("altered");
    });
  });

  it.each([
    ["birth-date", "1970013"],
    ["pin", "12a4"],
    ["none", "x"],
  ] as const)("refuses %s %j before it costs a try", (kind, value) => {
    expect(() => factorBytes(kind, value)).toThrow("wrong_factor");
  });
});

interface StreamCase {
  size: number;
  plain_sha256: string;
  key: string;
  aad: string;
  header: string;
  sealed_size: number;
  sealed_sha256: string;
  sealed: string | null;
}

describe("stream", () => {
  describe.for(vectors<StreamCase[]>("stream"))("of $size bytes", (vector) => {
    const [raw, aad] = [decode(vector.key), decode(vector.aad)];
    const plain = createHash("shake256", { outputLength: Math.max(1, vector.size) })
      .update("plain")
      .digest();
    const sealed = sealStream(raw, aad, plain.subarray(0, vector.size), decode(vector.header));
    const open = async (bytes: Bytes) => openWhole(await importStreamKey(raw), aad, bytes);

    it("is sealed as the box seals it", () => {
      expect(sha256(sealed)).toBe(vector.sealed_sha256);
      if (vector.sealed !== null) expect(encode(sealed)).toBe(vector.sealed);
      expect(sealedSize(vector.size)).toBe(vector.sealed_size);
    });

    it("opens", async () => {
      expect(sha256(await open(sealed))).toBe(vector.plain_sha256);
    });

    it("refuses a flipped byte wherever it is", async () => {
      const places =
        sealed.length < 2000 ? sealed.keys() : [0, 1, 33, 40, SEGMENT_BYTES - 1, SEGMENT_BYTES, sealed.length - 1];
      for (const at of places) {
        if (at < sealed.length) await expect(open(flipped(sealed, at))).rejects.toThrow("altered");
      }
    });

    it("refuses a truncated one wherever it is cut", async () => {
      for (const end of [0, 39, 40, 55, SEGMENT_BYTES, sealed.length - 1]) {
        if (end < sealed.length) await expect(open(sealed.slice(0, end))).rejects.toThrow("altered");
      }
    });

    it("refuses one byte more", async () => {
      await expect(open(new Uint8Array([...sealed.slice(0, 0), ...sealed, 0]))).rejects.toThrow("altered");
    });

    it("refuses another stream's name", async () => {
      await expect(openWhole(await importStreamKey(raw), flipped(aad, 20), sealed)).rejects.toThrow("altered");
    });
  });
});

interface ManifestCase {
  share_id: string;
  data_key: string;
  generation: number;
  sealed: string;
  manifest: { patient: { name: string }; studies: { series: { instances: { stream: string }[] }[] }[] };
}

describe("manifest", () => {
  const vector = vectors<ManifestCase>("manifest");
  const [shareId, sealed] = [decode(vector.share_id), decode(vector.sealed)];
  const key = importStreamKey(decode(vector.data_key));

  it("opens, with keys that cannot be read", async () => {
    const manifest = await openManifest(await key, shareId, vector.generation, sealed);
    const instance = manifest.studies[0]!.series[0]!.instances[0]!;
    expect(manifest.patient.name).toBe(vector.manifest.patient.name);
    expect(encode(instance.stream)).toBe(vector.manifest.studies[0]!.series[0]!.instances[0]!.stream);
    expect(instance.key.extractable).toBe(false);
    expect(instance.pieces).toEqual([[0, 0, 1056]]);
  });

  it("says nothing of a verdict where an older box knows none", async () => {
    const manifest = await openManifest(await key, shareId, vector.generation, sealed);
    expect([manifest.verdict, manifest.studies[0]!.added]).toEqual([undefined, 0]);
  });

  it("says by whose word all is here, what is missing, and when the newest image came", async () => {
    const judged = vectors<ManifestCase>("manifest-judged");
    const opened = await openManifest(
      await importStreamKey(decode(judged.data_key)),
      decode(judged.share_id),
      judged.generation,
      decode(judged.sealed),
    );
    expect(opened.verdict).toEqual({ source: "query", received: 2, expected: 3, missing: 1 });
    expect(opened.studies[0]!.added).toBe(1795000000);
  });

  it("keeps the instances it knows", async () => {
    const before = await openManifest(await key, shareId, vector.generation, sealed);
    const after = await openManifest(await key, shareId, vector.generation, sealed, before);
    expect(after.studies[0]!.series[0]!.instances[0]).toBe(before.studies[0]!.series[0]!.instances[0]);
  });

  it("refuses another generation, another share and a flipped byte", async () => {
    await expect(openManifest(await key, shareId, vector.generation + 1, sealed)).rejects.toThrow("altered");
    await expect(openManifest(await key, flipped(shareId, 0), vector.generation, sealed)).rejects.toThrow("altered");
    await expect(openManifest(await key, shareId, vector.generation, flipped(sealed, 60))).rejects.toThrow("altered");
  });
});
