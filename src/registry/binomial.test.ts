import { describe, expect, it } from "vitest";
import { atLeast } from "./binomial.ts";

/** By adding up all terms of a small case. */
function exact(hits: number, count: number, rate: number): number {
  let sum = 0;
  for (let k = hits; k <= count; k++) {
    let choose = 1;
    for (let i = 0; i < k; i++) choose *= (count - i) / (i + 1);
    sum += choose * rate ** k * (1 - rate) ** (count - k);
  }
  return sum;
}

describe("atLeast", () => {
  it.each([
    [2, 10, 0.01],
    [5, 100, 0.01],
    [3, 60, 0.01],
    [40, 120, 0.2],
    [10, 10, 0.5],
  ])("%i of %i at %d is exact", (hits, count, rate) => {
    expect(atLeast(hits, count, rate)).toBeCloseTo(exact(hits, count, rate), 8);
  });

  it("knows what is certain and what is impossible", () => {
    expect(atLeast(0, 0, 0.5)).toBe(1);
    expect(atLeast(1, 5, 0)).toBe(0);
    expect(atLeast(6, 5, 0.5)).toBe(0);
    expect(atLeast(5, 5, 1)).toBe(1);
  });

  it("holds for counts of which no factorial can be written down", () => {
    expect(atLeast(10_300, 1_000_000, 0.01)).toBeGreaterThan(0.0005);
    expect(atLeast(10_300, 1_000_000, 0.01)).toBeLessThan(0.003);
    expect(atLeast(20_000, 1_000_000, 0.01)).toBeLessThan(1e-9);
  });
});
