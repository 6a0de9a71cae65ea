import { expect, test } from "vitest";
import { mean, median, quantile } from "./sample.ts";

test("a quantile is a sample that was taken", () => {
  const hundred = Array.from({ length: 100 }, (_, index) => 100 - index);
  expect(quantile(hundred, 0.99)).toBe(99);
  expect(quantile(hundred, 1)).toBe(100);
  expect(quantile(hundred, 0)).toBe(1);
  expect(median([3, 1, 2])).toBe(2);
  expect(median([4, 1, 2, 3])).toBe(2);
});

test("leaves the samples in their order", () => {
  const samples = [3, 1, 2];
  expect(mean(samples)).toBe(2);
  quantile(samples, 0.5);
  expect(samples).toEqual([3, 1, 2]);
});

test("refuses to make a figure of nothing", () => {
  expect(() => quantile([], 0.5)).toThrow("no samples");
  expect(() => mean([])).toThrow("no samples");
});
