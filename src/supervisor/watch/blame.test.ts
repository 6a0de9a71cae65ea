import { describe, expect, test } from "vitest";
import { blameForStall, NOBODY, UnexplainedStalls } from "./blame.ts";

const NOW = 1_795_449_671_224;
const entry = (versionId: string, underWay: number, order: number, ageMs = 0) => ({
  versionId,
  underWay,
  order,
  lastBegin: (NOW - ageMs) >>> 0,
  cpuMs: 50,
});
const blame = (
  entries: ReturnType<typeof entry>[],
  lastStarted: string | null = null,
  isRepeated = false,
) => blameForStall(entries, { lastStarted, nowMs: NOW, isRepeated });

describe("a stall", () => {
  test("is certainly the doing of the only version there, under way or not", () => {
    const a = { named: "a", certain: true, involved: ["a"] };
    expect(blame([entry("a", 3, 9)])).toEqual(a);
    expect(blame([entry("a", 1, 9), entry("a", 0, 8)], "a")).toEqual(a);
    expect(blame([entry("a", 0, 9)])).toEqual(a);
  });

  test("names the only version under way, which is not certain if others were there", () => {
    const entries = [entry("a", 3, 9), entry("b", 0, 10)];
    expect(blame(entries)).toEqual({ named: "a", certain: false, involved: ["a"] });
    expect(blame(entries, "a")).toEqual({ named: "a", certain: false, involved: ["a"] });
  });

  test("names none if the version that started last has answered already", () => {
    const entries = [entry("a", 3, 9), entry("b", 0, 10)];
    expect(blame(entries, "b")).toEqual({ named: null, certain: false, involved: ["a", "b"] });
    const two = [...entries, entry("c", 1, 8)];
    expect(blame(two, "b")).toEqual({ named: null, certain: false, involved: ["a", "c", "b"] });
  });

  test("names of several under way the one that started last, and none if that is not known", () => {
    const entries = [entry("a", 1, 9), entry("b", 1, 10), entry("c", 0, 11, 61_000)];
    expect(blame(entries, "a")).toEqual({ named: "a", certain: false, involved: ["b", "a"] });
    const nobody = { named: null, certain: false, involved: ["b", "a"] };
    expect(blame(entries)).toEqual(nobody);
    expect(blame(entries, "c")).toEqual(nobody);
  });

  test("with none under way involves those that began lately", () => {
    const old = entry("a", 0, 9, 61_000);
    expect(blame([old, entry("b", 0, 10, 59_000)])).toEqual({
      named: "b",
      certain: false,
      involved: ["b"],
    });
    expect(blame([entry("b", 0, 10), entry("c", 0, 11)]).involved).toEqual(["c", "b"]);
    expect(blame([entry("b", 0, 10), entry("c", 0, 11)], "b").named).toBe("b");
    expect(blame([old])).toEqual(NOBODY);
    expect(blame([])).toEqual(NOBODY);
  });

  test("that happens again and again involves those that began lately too", () => {
    const entries = [entry("a", 1, 9), entry("b", 0, 10), entry("c", 0, 8, 61_000)];
    expect(blame(entries, null, true)).toEqual({
      named: "a",
      certain: false,
      involved: ["a", "b"],
    });
  });

  test("orders versions across the wrap of the count", () => {
    const entries = [entry("old", 1, 0x7fffffff), entry("new", 1, -0x80000000)];
    expect(blame(entries).involved).toEqual(["new", "old"]);
  });
});

describe("stalls that nobody was found guilty of", () => {
  const repeated = (stalls: UnexplainedStalls, minute: number, involved: string[]) => {
    const isRepeated = stalls.isRepeated(60_000 * minute);
    stalls.note(60_000 * minute, involved);
    return isRepeated;
  };

  test("are repeated at the third in ten minutes", () => {
    const stalls = new UnexplainedStalls();
    const times = [0, 6, 11, 15, 30, 31, 32].filter((minute) => repeated(stalls, minute, ["a"]));
    expect(times).toEqual([15, 32]);
  });

  test("are forgotten when one who was involved does it again elsewhere", () => {
    const stalls = new UnexplainedStalls();
    repeated(stalls, 0, ["a", "b"]);
    repeated(stalls, 1, ["b", "c"]);
    stalls.explain("a");
    expect(repeated(stalls, 2, ["d"])).toBe(false);
    expect(repeated(stalls, 3, ["e"])).toBe(true);
  });
});
