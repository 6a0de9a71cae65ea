import { describe, expect, test } from "vitest";
import { MemoryRule } from "./memory-rule.ts";

const MIB = 2 ** 20;
const BASE = 50 * MIB;
const entry = (versionId: string, underWay: number, order: number) => ({
  versionId,
  underWay,
  order,
  lastBegin: 0,
  cpuMs: 50,
});
const none = { budget: undefined, limit: undefined };
const budget = (mib: number) => ({ budget: mib * MIB, limit: undefined });

describe("a dedicated cell", () => {
  const limits = { budget: undefined, limit: 128 * MIB };

  test("is killed if it leaps over its limit and what the runtime takes", () => {
    const rule = new MemoryRule(BASE);
    const entries = [entry("a", 1, 1)];
    expect(rule.take(BASE + 256 * MIB, 1, entries, limits, 0)).toBeUndefined();
    expect(rule.take(BASE + 257 * MIB, 1, entries, limits, 0)).toMatchObject({
      action: "kill",
      blame: { named: "a" },
    });
  });

  test("is replaced if it gets there slowly, then killed if it grows on", () => {
    const rule = new MemoryRule(BASE);
    const actions: unknown[] = [];
    for (let mib = 0; mib <= 800; mib += 10) {
      const bloat = rule.take(BASE + mib * MIB, 1, [entry("a", 1, 1)], limits, 1000 * mib);
      if (bloat !== undefined) actions.push([mib, bloat.action]);
    }
    expect(actions.slice(0, 2)).toEqual([
      [520, "replace"],
      [770, "kill"],
    ]);
  });

  test("has nobody blamed for the garbage of many requests", () => {
    const rule = new MemoryRule(BASE);
    rule.take(BASE, 0, [entry("a", 0, 0)], limits, 0);
    let bloat;
    for (let begins = 100; bloat === undefined; begins += 100) {
      const bytes = BASE + begins * 10_000;
      bloat = rule.take(bytes, begins, [entry("a", 1, begins)], limits, begins / 10);
    }
    expect(bloat).toMatchObject({ action: "replace", blame: { named: null, involved: [] } });
  });
});

describe("a shared process", () => {
  test("is replaced once when it is over its budget, and killed if it goes on growing", () => {
    const rule = new MemoryRule(BASE);
    const at = (mib: number, seconds: number) =>
      rule.take(mib * MIB, 1, [entry("a", 0, 1)], budget(1000), 1000 * seconds)?.action;
    expect(at(900, 10)).toBeUndefined();
    expect(at(1001, 20)).toBe("replace");
    expect(at(1100, 30)).toBeUndefined();
    expect(at(2001, 40)).toBe("kill");
  });

  test("is killed at once if one version under way grows as only a bomb does", () => {
    const rule = new MemoryRule(BASE);
    const entries = [entry("a", 0, 3), entry("bomb", 1, 4)];
    expect(rule.take(100 * MIB, 4, entries, budget(2000), 0)).toBeUndefined();
    let bloat;
    let atMs = 0;
    while (bloat === undefined && atMs < 1000) {
      atMs += 10;
      bloat = rule.take((100 + atMs) * MIB, 4, entries, budget(2000), atMs);
    }
    expect(bloat).toMatchObject({ action: "kill", blame: { named: "bomb", involved: ["bomb"] } });
  });

  test("is not killed for loading many versions quickly", () => {
    const rule = new MemoryRule(BASE);
    for (let n = 1; n <= 800; n++) {
      const entries = [entry(`v${n - 1}`, 1, n - 1), entry(`v${n}`, 1, n)];
      expect(rule.take(BASE + 2 * n * MIB, n, entries, budget(2000), 5 * n)).toBeUndefined();
    }
  });
});

describe("who is to blame for growth", () => {
  test("those under way, each for its part", () => {
    const rule = new MemoryRule(BASE);
    rule.take(BASE + 40 * MIB, 2, [entry("a", 1, 1), entry("b", 1, 2)], none, 0);
    expect(rule.blame()).toEqual({ named: null, certain: false, involved: [] });
    rule.take(BASE + 140 * MIB, 2, [entry("a", 1, 1), entry("b", 1, 2)], none, 0);
    expect(rule.blame()).toEqual({ named: null, certain: false, involved: ["a", "b"] });
    rule.take(BASE + 600 * MIB, 2, [entry("a", 1, 1), entry("b", 0, 2)], none, 0);
    expect(rule.blame()).toEqual({ named: "a", certain: false, involved: ["a"] });
  });

  test("those that came and went between two looks, else the one that began last", () => {
    const rule = new MemoryRule(BASE);
    const entries = [entry("old", 0, 4), entry("new", 0, 5)];
    rule.take(BASE, 4, [], none, 0);
    rule.take(BASE + 100 * MIB, 5, entries, none, 0);
    expect(rule.blame().named).toBe("new");
    const later = new MemoryRule(BASE);
    later.take(BASE, 5, [], none, 0);
    later.take(BASE + 100 * MIB, 5, entries, none, 0);
    expect(later.blame().named).toBe("new");
  });

  test("what was given back or is long ago counts no more", () => {
    const rule = new MemoryRule(BASE);
    rule.take(BASE + 100 * MIB, 1, [entry("a", 1, 1)], none, 0);
    rule.take(BASE + 20 * MIB, 1, [entry("a", 1, 1)], none, 0);
    expect(rule.blame().involved).toEqual([]);
    rule.take(BASE + 200 * MIB, 1, [entry("a", 1, 1)], none, 0);
    expect(rule.blame().involved).toEqual(["a"]);
    rule.take(BASE + 200 * MIB, 1, [entry("a", 0, 1)], none, 120_000);
    expect(rule.blame().involved).toEqual([]);
  });

  test("at most eight", () => {
    const rule = new MemoryRule(BASE);
    const entries = Array.from({ length: 20 }, (_, n) => entry(`v${n}`, 1, n));
    rule.take(BASE + 2000 * MIB, 20, entries, none, 0);
    expect(rule.blame().involved).toHaveLength(8);
  });
});
