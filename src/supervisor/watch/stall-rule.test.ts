import { describe, expect, test } from "vitest";
import { cpuBudget, StallRule } from "./stall-rule.ts";

const SMALL = 80 * 2 ** 20;

const entry = (underWay: number, cpuMs: number) => ({
  versionId: "a",
  underWay,
  cpuMs,
  order: 1,
  lastBegin: 0,
});
const at = (cpuMs: number, progress: number, budgetMs = 50) => ({
  beforeMs: cpuMs,
  afterMs: cpuMs,
  progress,
  budgetMs,
});

describe("a process that is looked at again and again", () => {
  test("is stuck once it used more than the budget without progress", () => {
    const rule = new StallRule();
    expect(rule.take(at(1000, 1))).toBeUndefined();
    expect(rule.take(at(1050, 1))).toBeUndefined();
    expect(rule.take(at(1051, 1))).toEqual({ how: "stuck", usedMs: 51, budgetMs: 50 });
  });

  test("is not while it makes progress, however much it uses", () => {
    const rule = new StallRule();
    for (let n = 0; n < 1000; n++) expect(rule.take(at(50 * n, n))).toBeUndefined();
  });

  test("is not for what it used before the progress that was seen later", () => {
    const rule = new StallRule();
    rule.take(at(0, 1));
    // The supervisor was kept from its work between reading the clock and reading the progress.
    expect(rule.take({ ...at(5, 2), afterMs: 100 })).toBeUndefined();
    expect(rule.take(at(150, 2))).toBeUndefined();
    expect(rule.take(at(151, 2))).toMatchObject({ usedMs: 51 });
  });

  test("is silent if it makes progress but answers no heartbeat for ten seconds of CPU time and the budget", () => {
    const rule = new StallRule();
    rule.take(at(0, 0));
    rule.heartbeatSent(0);
    for (let n = 1; n <= 1005; n++) {
      if (n === 50) rule.heartbeatSent(500);
      expect(rule.take(at(10 * n, n))).toBeUndefined();
    }
    expect(rule.take(at(10_060, 1006))).toEqual({
      how: "silent",
      usedMs: 10_060,
      budgetMs: 10_050,
    });
  });

  test("is not silent if its answers come, or nobody asked", () => {
    const rule = new StallRule();
    for (let n = 0; n < 1000; n++) {
      expect(rule.take(at(10 * n, n))).toBeUndefined();
      if (n === 300) rule.heartbeatSent(3000);
      if (n === 400) rule.heartbeatAnswered();
    }
  });
});

describe("the budget", () => {
  test("is the sum of what is under way and a little for the platform", () => {
    expect(cpuBudget([entry(3, 50), entry(0, 1000), entry(1, 200)], true, SMALL)).toEqual({
      ms: 400,
      isFull: true,
    });
  });

  test("has an upper bound where versions share a process, but never below what one of them may use", () => {
    expect(cpuBudget([entry(1000, 50)], true, SMALL)).toEqual({ ms: 5050, isFull: false });
    expect(cpuBudget([entry(1000, 50)], false, SMALL)).toEqual({ ms: 50_050, isFull: true });
    expect(cpuBudget([entry(1000, 50), entry(1, 30_000)], true, SMALL).ms).toBe(30_050);
    expect(cpuBudget([entry(1, 30_000)], true, SMALL)).toEqual({ ms: 30_050, isFull: true });
  });

  test("collecting garbage takes the longer the more there may be", () => {
    expect(cpuBudget([entry(1, 50)], true, 300 * 2 ** 20)).toEqual({ ms: 200, isFull: true });
  });

  test("leaves time to clean up when nothing is under way, and more where nothing is known", () => {
    expect(cpuBudget([entry(0, 50)], true, SMALL).ms).toBe(400);
    expect(cpuBudget(undefined, true, SMALL).ms).toBe(2000);
  });
});
