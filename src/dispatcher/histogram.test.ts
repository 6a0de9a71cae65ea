import { describe, expect, it } from "vitest";
import { Histogram, RELATIVE_ERROR } from "./histogram.ts";
import { decodeHistogram, encodeHistogram } from "./metrics-schema.ts";
import { createRandom } from "./test/random.ts";

const QUANTILES = [0, 0.5, 0.9, 0.99, 1];

const DISTRIBUTIONS: Record<string, (random: () => number) => number> = {
  uniform: (random) => random() * 100,
  exponential: (random) => -Math.log(1 - random()) * 7,
  "heavy tailed": (random) => (1 - random()) ** -1.5,
  "log-normal": (random) =>
    Math.exp(2 + 1.2 * Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random())),
  "two far peaks": (random) => (random() < 0.7 ? 2 + random() : 9_000 + 1_000 * random()),
  "whole milliseconds": (random) => Math.floor(random() * 40),
  constant: () => 12.5,
};

function histogramOf(values: readonly number[]): Histogram {
  const histogram = new Histogram();
  for (const value of values) histogram.add(value);
  return histogram;
}

/** The definition that `quantile` promises to be close to. */
function trueQuantile(values: readonly number[], q: number): number {
  return values.toSorted((a, b) => a - b)[Math.floor(q * (values.length - 1))] as number;
}

/** Largest relative error over QUANTILES. */
function worstError(histogram: Histogram, values: readonly number[]): number {
  const errors = QUANTILES.map((q) => {
    const exact = trueQuantile(values, q);
    return Math.abs((histogram.quantile(q) as number) - exact) / (exact || 1);
  });
  return Math.max(...errors);
}

/** With room for rounding at the edges of buckets, where the error is largest. */
const ALLOWED = RELATIVE_ERROR + 1e-9;

describe.each(Object.entries(DISTRIBUTIONS))("%s values", (_name, draw) => {
  const random = createRandom(42);
  const values = Array.from({ length: 20_000 }, () => draw(random));

  it("has quantiles within the stated error", () => {
    expect(worstError(histogramOf(values), values)).toBeLessThanOrEqual(ALLOWED);
  });

  it("is as good after merging many uneven parts", () => {
    const merged = new Histogram();
    for (let from = 0, size = 1; from < values.length; from += size, size = (size * 3) % 1_009) {
      merged.merge(histogramOf(values.slice(from, from + size)).toData());
    }
    expect(merged.count).toBe(values.length);
    expect(worstError(merged, values)).toBeLessThanOrEqual(ALLOWED);
  });

  it("survives being stored", () => {
    const data = histogramOf(values).toData();
    const stored = JSON.parse(JSON.stringify(encodeHistogram(data))) as number[];
    expect(decodeHistogram(stored)).toEqual(data);
    expect(worstError(Histogram.from(decodeHistogram(stored)), values)).toBeLessThanOrEqual(
      ALLOWED,
    );
  });

  it("keeps count, sum and mean exactly", () => {
    const histogram = histogramOf(values);
    const sum = values.reduce((total, value) => total + value, 0);
    expect(histogram.count).toBe(values.length);
    expect(histogram.sum).toBeCloseTo(sum, 3);
    expect(histogram.mean).toBeCloseTo(sum / values.length, 6);
  });
});

it("merging in any order and grouping gives the same buckets", () => {
  const [a, b, c] = [
    [1, 500],
    [0, 7, 7],
    [1e-9, 3e5],
  ].map((values) => histogramOf(values).toData());
  const left = new Histogram();
  for (const part of [a, b, c]) left.merge(part as NonNullable<typeof part>);
  const right = new Histogram();
  for (const part of [c, a, b]) right.merge(part as NonNullable<typeof part>);
  expect(right.toData()).toEqual(left.toData());
});

it("counts as zero what is too small, negative or not a number, and bounds what is too large", () => {
  const histogram = histogramOf([0, 1e-7, -5, Number.NaN]);
  expect(histogram.toData()).toEqual({ count: 4, sum: 0, zero: 4, buckets: [] });
  expect(histogram.quantile(1)).toBe(0);
  histogram.add(Infinity);
  expect(Number.isFinite(histogram.sum)).toBe(true);
  expect(histogram.quantile(1)).toBeGreaterThan(9e8);
});

it("adds a value several times over as if one by one", () => {
  const weighted = new Histogram();
  weighted.add(3, 4);
  weighted.add(0, 2);
  expect(weighted.toData()).toEqual(histogramOf([3, 3, 3, 3, 0, 0]).toData());
});

it("has no quantile without values, and none left after clear", () => {
  const histogram = new Histogram();
  expect(histogram.quantile(0.5)).toBe(null);
  histogram.add(8);
  histogram.clear();
  expect(histogram.toData()).toEqual(new Histogram().toData());
  histogram.add(8);
  expect(histogram.count).toBe(1);
});
