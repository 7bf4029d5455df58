/** What the person meets: dates, names, kinds of files, sentences, and the file that is saved. */
import * as fs from "node:fs";
import dicomParser from "dicom-parser";
import { describe, expect, it } from "vitest";
import { ByteLru } from "../src/lib/byte-lru.ts";
import { concat } from "../src/lib/bytes.ts";
import { bytes, dicomDate, monthNames, personName } from "../src/lib/format.ts";
import { fileKind } from "../src/lib/kinds.ts";
import { part10Header } from "../src/lib/part10.ts";
import { stateCode } from "../src/lib/session.ts";
import { en, textsFor } from "../src/lib/texts.ts";
import { readDate } from "../src/ui/read-date.ts";
import { realFile, splitPart10 } from "./real-files.ts";

describe("date of birth", () => {
  const now = Date.UTC(2026, 0, 14);

  it.each([
    ["31", "1", "1970", "19700131"],
    ["1", "12", "2025", "20251201"],
    ["29", "2", "2000", "20000229"],
  ])("%s/%s/%s is %s", (day, month, year, value) => {
    expect(readDate(day, month, year, now)).toEqual({ value });
  });

  it.each([
    ["31", "2", "1970"],
    ["0", "1", "1970"],
    ["1", "", "1970"],
    ["1", "1", "70"],
    ["a", "1", "1970"],
    ["1", "1", "2030"],
  ])("%s/%s/%s costs no try", (day, month, year) => {
    expect(readDate(day, month, year, now)).toHaveProperty("complaint");
  });
});

describe("format", () => {
  it("writes names as people do", () => {
    expect(personName("Rivers^Ada^^Dr")).toBe("Dr Ada Rivers");
    expect(personName("Yamada^Tarou=山田^太郎")).toBe("Tarou Yamada");
    expect(personName("=山田^太郎")).toBe("太郎 山田");
    expect(personName("^^")).toBe("");
  });

  it("writes dates with the month in letters", () => {
    expect(dicomDate("20260304")).toMatch(/March/);
    expect(dicomDate("")).toBe("");
    expect(monthNames()).toHaveLength(12);
  });

  it("writes sizes", () => {
    expect([bytes(999), bytes(1500), bytes(23_000_000)]).toEqual(["999 bytes", "1.5 kB", "23 MB"]);
  });
});

describe("kinds", () => {
  const storage = "1.2.840.10008.5.1.4.1.1";
  const kind = (sopClass: string, rows = 0, syntax = "1.2.840.10008.1.2.1") =>
    fileKind({ sopClass: `${storage}${sopClass}`, rows, columns: rows, syntax });

  it.each([
    [".2", 512, undefined],
    [".481.2", 10, undefined],
    [".481.3", 0, "radiotherapy"],
    [".88.33", 0, "report"],
    [".88.59", 0, "keyImages"],
    [".104.1", 0, "pdf"],
    [".66.4", 64, "segmentation"],
    [".9.1.1", 0, "ecg"],
    [".11.1", 0, "presentation"],
    [".66", 0, "raw"],
    [".2", 0, "other"],
  ])("%s with %i rows is %s", (sopClass, rows, expected) => {
    expect(kind(sopClass, rows)).toBe(expected);
  });

  it("lists video and unknown transfer syntaxes", () => {
    expect(kind(".77.1.4.1", 100, "1.2.840.10008.1.2.4.102")).toBe("video");
    expect(kind(".2", 100, "1.2.840.10008.1.2.4.110")).toBe("image");
  });
});

describe("texts", () => {
  it("fall back to English and speak plainly", () => {
    expect(textsFor(["xx", "en-GB"])).toBe(en);
    expect(en.study.arriving(12, 30)).toBe("12 of 30 images are here, more are coming");
    expect(en.factor.wrongDate(1)).toContain("1 try left");
  });

  it("know every state of a link", () => {
    const states = ["active", "expired", "locked", "revoked", "destroyed", "?"];
    const codes = [undefined, "link_expired", "link_locked", "link_revoked", "link_revoked", "link_unknown"];
    expect(states.map(stateCode)).toEqual(codes);
  });
});

describe("saved file", () => {
  const file = realFile("CT_small.dcm");

  it.runIf(file)("is a DICOM file with the dataset bit for bit", () => {
    const { dataset, sopClass, uid, syntax } = splitPart10(file!.path);
    const saved = concat(part10Header({ sopClass, uid, syntax }), dataset);
    const read = dicomParser.parseDicom(saved);
    expect([read.string("x00020002"), read.string("x00020003"), read.string("x00020010")]).toEqual([
      sopClass,
      uid,
      syntax,
    ]);
    expect(read.string("x00100020")).toBe(dicomParser.parseDicom(fs.readFileSync(file!.path)).string("x00100020"));
    expect(Buffer.compare(saved.subarray(saved.length - dataset.length), dataset)).toBe(0);
  });
});

describe("byte LRU", () => {
  it("drops the least recently used and keeps the newest whatever its size", () => {
    const lru = new ByteLru<string>(10);
    lru.put("a", "A", 4);
    lru.put("b", "B", 4);
    lru.get("a");
    lru.put("c", "C", 4);
    expect([lru.get("a"), lru.get("b"), lru.get("c")]).toEqual(["A", undefined, "C"]);
    lru.put("big", "BIG", 99);
    expect([lru.get("a"), lru.get("big"), lru.bytes]).toEqual([undefined, "BIG", 99]);
  });
});
