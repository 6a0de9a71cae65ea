import { expect, test } from "vitest";
import { RateLimits } from "./rate-limits.ts";

const count = (key: string, scope = "a", limit = 2) => ({ scope, key, limit, periodSeconds: 10 });

test("a window ends, and the count with it", () => {
  const limits = new RateLimits(0, []);
  const at = (ms: number) => limits.count(count("k"), ms);
  expect([at(1), at(2), at(9_999), at(10_000), at(10_001), at(10_002)]).toEqual([
    true,
    true,
    false,
    true,
    true,
    false,
  ]);
});

test("keys and bindings are counted apart", () => {
  const limits = new RateLimits(0, []);
  const asked = [count("k"), count("k"), count("l"), count("k", "b"), count("k")];
  expect(asked.map((one) => limits.count(one, 1))).toEqual([true, true, true, true, false]);
});

test("who floods a binding with keys loses counts of that binding only", () => {
  const limits = new RateLimits(0, []);
  const full = () => limits.count(count("mine", "a", 1), 1);
  const others = () => limits.count(count("mine", "b", 1), 1);
  expect([full(), full(), others(), others()]).toEqual([true, false, true, false]);
  for (let n = 0; n < 10_000; n++) limits.count(count(`flood ${n}`, "a", 1), 1);
  expect([full(), others()]).toEqual([true, false]);
});

test("an edge that is away does not stop another from counting", async () => {
  const away = {
    fetch: () => Promise.reject(new Error("internal error")),
  } as unknown as Fetcher;
  const limits = new RateLimits(0, [away, away]);
  const caller = { namespace: "production", script: "shop" };
  const value = { type: "rate-limit", id: "1", limit: 1, periodSeconds: 60 } as const;
  for (const key of ["a", "b", "c", "d"]) {
    expect(await limits.take(caller, value, key)).toBe(true);
    expect(await limits.take(caller, value, key)).toBe(false);
  }
});

test("bindings that are flooded with long keys fill no memory", () => {
  const limits = new RateLimits(0, []);
  const key = "k".repeat(1_000);
  for (let n = 0; n < 100_000; n++) limits.count(count(`${n}${key}`, `${n % 20}`), 1);
  expect(limits.characters).toBeLessThan(34_000_000);
  // The window that a flood forgets is the oldest.
  expect(limits.count(count("new", "b", 1), 1)).toBe(true);
  expect(limits.count(count("new", "b", 1), 2)).toBe(false);
  limits.count(count("later"), 20_000);
  for (let n = 0; n < 20; n++) limits.count(count("x", `${n}`), 20_000);
  limits.count(count("x", "b"), 20_000);
  expect(limits.characters).toBe(21 * 65 + 69);
});
