import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import type { CellAssignment } from "../protocol/incident.ts";
import { Cells } from "./cells.ts";

const VERSION = "8c3a1a3e-0000-4000-8000-000000000001";
const OTHER = "8c3a1a3e-0000-4000-8000-000000000002";

beforeEach(() => vi.useFakeTimers({ now: 1_000_000 }));
afterEach(() => vi.useRealTimers());

/** Two probation cells and two for dedicated ones; the hub assigns what `assigned` says. */
function cells(assigned: CellAssignment[] = []) {
  const assign = vi.fn<() => Promise<CellAssignment>>(async () => {
    const assignment = assigned.shift();
    if (assignment === undefined) throw new Error("all cells are taken");
    return assignment;
  });
  return { assign, it: new Cells({ probation: 2, total: 4 }, assign) };
}

describe("dedicated cells", () => {
  test("the hub is asked once", async () => {
    const { it, assign } = cells([{ index: 2, life: 30 }]);
    expect(await it.dedicated(VERSION)).toEqual({ index: 2, life: 30 });
    it.accept({ lives: [10, 11, 30, null] });
    expect(await it.dedicated(VERSION)).toEqual({ index: 2, life: 30 });
    expect(assign).toHaveBeenCalledTimes(1);
  });

  test("and again when the cell was replaced", async () => {
    const { it } = cells([
      { index: 2, life: 30 },
      { index: 3, life: 31 },
    ]);
    await it.dedicated(VERSION);
    it.accept({ lives: [10, 11, 30, null] });
    it.accept({ lives: [10, 11, null, 31] });
    expect(await it.dedicated(VERSION)).toEqual({ index: 3, life: 31 });
  });

  test("news that do not know of an assignment yet leave it alone", async () => {
    const { it, assign } = cells([{ index: 2, life: 30 }]);
    it.accept({ lives: [10, 11, null, null] });
    await it.dedicated(VERSION);
    it.accept({ lives: [12, 11, null, null] });
    await it.dedicated(VERSION);
    expect(assign).toHaveBeenCalledTimes(1);
  });

  test("a refusal is not remembered", async () => {
    const { it, assign } = cells();
    await expect(it.dedicated(VERSION)).rejects.toThrow("all cells are taken");
    await expect(it.dedicated(VERSION)).rejects.toThrow("all cells are taken");
    expect(assign).toHaveBeenCalledTimes(2);
  });
});

describe("what a cell holds", () => {
  test("is believed for ten seconds", () => {
    const { it } = cells();
    const cell = it.probation(VERSION);
    expect(it.isFresh(VERSION, cell, 50_000)).toBe(false);
    it.saw(VERSION, cell, 50_000);
    expect(it.isFresh(VERSION, cell, 59_999)).toBe(true);
    expect(it.isFresh(OTHER, cell, 59_999)).toBe(false);
    expect(it.isFresh(VERSION, cell, 60_000)).toBe(false);
  });

  test("is forgotten with its process", () => {
    const { it } = cells();
    it.accept({ lives: [10, 11, null, null] });
    const cell = it.probation(VERSION);
    it.saw(VERSION, cell, 50_000);
    it.accept({ lives: cell.index === 0 ? [20, 11, null, null] : [10, 20, null, null] });
    expect(it.isFresh(VERSION, it.probation(VERSION), 50_001)).toBe(false);
  });
});

test("a version has the same probation cell always, and its present life", () => {
  const { it } = cells();
  const { index } = it.probation(VERSION);
  it.accept({ lives: [10, 11, null, null] });
  expect(it.probation(VERSION)).toEqual({ index, life: 10 + index });
});
