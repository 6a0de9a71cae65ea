import { expect, test } from "vitest";
import { formatTable, holds, ratioOf } from "./table.ts";

const row = { section: "cold", figure: "p50", unit: "ms" };

test("a bound is on the ratio, or on the figure where there is nothing to compare with", () => {
  expect(holds({ ...row, ours: 8, baseline: 40, atMost: 0.2 })).toBe(true);
  expect(holds({ ...row, ours: 9, baseline: 40, atMost: 0.2 })).toBe(false);
  expect(holds({ ...row, ours: 9, baseline: 40, ratio: 0.1, atMost: 0.2 })).toBe(true);
  expect(holds({ ...row, ours: 0, atMost: 0 })).toBe(true);
  expect(holds({ ...row, ours: 1, atMost: 0 })).toBe(false);
  expect(holds({ ...row, ours: 1 })).toBeUndefined();
});

test("nothing is compared with a baseline of zero", () => {
  expect(ratioOf({ ...row, ours: 1, baseline: 0 })).toBeUndefined();
});

test("prints columns of equal width", () => {
  const lines = formatTable([
    { ...row, ours: 8.126, baseline: 40, against: "new Node process", atMost: 0.15 },
    { ...row, figure: "a longer name", ours: 123.4 },
  ]).split("\n");
  expect(new Set(lines.map((line) => line.length)).size).toBe(1);
  expect(lines[2]).toMatch(
    /\| 8\.13 ms +\| 40\.0 ms +\| new Node process \| 0\.20 +\| 0\.15 +\| MISSED \|$/,
  );
});
