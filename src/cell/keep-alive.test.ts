import { describe, expect, test } from "vitest";
import { HybridKeepAlive } from "./keep-alive-hybrid.ts";
import { FixedKeepAlive, LruKeepAlive, type KeepAlive } from "./keep-alive.ts";

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;

/** Calls `version` at 0 and then after each of the gaps; returns when the last call was. */
function callAfter(policy: KeepAlive, version: string, gapsMs: readonly number[]): number {
  let nowMs = 0;
  policy.called(version, nowMs);
  for (const gapMs of gapsMs) policy.called(version, (nowMs += gapMs));
  return nowMs;
}

const repeat = (count: number, gapMs: number) => Array.from({ length: count }, () => gapMs);

test("the fixed policy keeps every version for the same time", () => {
  expect(new FixedKeepAlive().keepAliveMs()).toBe(10 * MINUTE);
  expect(new FixedKeepAlive(5).keepAliveMs()).toBe(5);
});

test("the LRU policy leaves it to the budget", () => {
  expect(new LruKeepAlive().keepAliveMs()).toBe(Infinity);
});

describe("the hybrid policy", () => {
  test("keeps a version that it does not know for as long as the histogram reaches", () => {
    const policy = new HybridKeepAlive({ prewarms: true });
    expect(policy.keepAliveMs("v", 0)).toBe(4 * HOUR);
    expect(policy.prewarmAtMs("v", 0)).toBeNull();
    const lastMs = callAfter(policy, "v", repeat(4, 30 * MINUTE));
    expect(policy.keepAliveMs("v", lastMs + MINUTE)).toBe(4 * HOUR);
    expect(policy.prewarmAtMs("v", lastMs + MINUTE)).toBeNull();
  });

  test("gives up an isolate between the calls of a steady version and loads it before the next", () => {
    const policy = new HybridKeepAlive({ prewarms: true });
    const lastMs = callAfter(policy, "v", repeat(5, 30.5 * MINUTE));
    // Within the first minute the call may still run.
    expect(policy.keepAliveMs("v", lastMs)).toBe(MINUTE);
    expect(policy.keepAliveMs("v", lastMs + 20 * MINUTE)).toBe(MINUTE);
    // Bin 30, which ends at 31, and the margins.
    expect(policy.prewarmAtMs("v", lastMs + MINUTE)).toBe(lastMs + 30 * 0.9 * MINUTE);
    expect(policy.keepAliveMs("v", lastMs + 27 * MINUTE)).toBe(31 * 1.1 * MINUTE);
    expect(policy.prewarmAtMs("v", lastMs + 34 * MINUTE)).toBe(lastMs + 27 * MINUTE);
    expect(policy.prewarmAtMs("v", lastMs + 35 * MINUTE)).toBeNull();
  });

  test("keeps the isolate of a steady version until the next call where nothing is loaded in advance", () => {
    const policy = new HybridKeepAlive();
    const lastMs = callAfter(policy, "v", repeat(5, 30.5 * MINUTE));
    expect(policy.keepAliveMs("v", lastMs + 20 * MINUTE)).toBe(31 * 1.1 * MINUTE);
    expect(policy.prewarmAtMs("v", lastMs + 20 * MINUTE)).toBeNull();
  });

  test("takes the 5th percentile as the head and the 99th as the tail", () => {
    const gapsMs = [...repeat(5, 20 * MINUTE), ...repeat(93, 40 * MINUTE), ...repeat(2, HOUR)];
    const policy = new HybridKeepAlive({ prewarms: true });
    const lastMs = callAfter(policy, "v", gapsMs);
    expect(policy.prewarmAtMs("v", lastMs)).toBe(lastMs + 18 * MINUTE);
    expect(policy.keepAliveMs("v", lastMs + 18 * MINUTE)).toBe(Math.round(61 * 1.1 * MINUTE));
    const other = new HybridKeepAlive({ prewarms: true });
    const otherLastMs = callAfter(other, "v", [...gapsMs.slice(1), 40 * MINUTE, 20 * MINUTE, HOUR]);
    expect(other.prewarmAtMs("v", otherLastMs)).toBe(otherLastMs + 36 * MINUTE);
  });

  test("keeps a busy version until just after the first bin", () => {
    const policy = new HybridKeepAlive({ prewarms: true });
    const lastMs = callAfter(policy, "v", repeat(1_000, 100));
    expect(policy.keepAliveMs("v", lastMs + MINUTE)).toBe(1.1 * MINUTE);
    expect(policy.prewarmAtMs("v", lastMs)).toBeNull();
  });

  test("keeps a version without any rhythm for as long as the histogram reaches", () => {
    const policy = new HybridKeepAlive({ prewarms: true });
    const gapsMs = Array.from({ length: 200 }, (_, index) => (index + 1) * MINUTE);
    const lastMs = callAfter(policy, "v", gapsMs);
    expect(policy.keepAliveMs("v", lastMs + MINUTE)).toBe(4 * HOUR);
    expect(policy.prewarmAtMs("v", lastMs + MINUTE)).toBeNull();
  });

  test("keeps a version for a fixed time if most idle times lie beyond the histogram", () => {
    const policy = new HybridKeepAlive({ prewarms: true });
    const lastMs = callAfter(policy, "v", [...repeat(3, 5 * HOUR), ...repeat(2, HOUR)]);
    expect(policy.keepAliveMs("v", lastMs + MINUTE)).toBe(10 * MINUTE);
    expect(policy.prewarmAtMs("v", lastMs + MINUTE)).toBeNull();
  });

  test("follows a version whose rhythm changes", () => {
    const policy = new HybridKeepAlive({ prewarms: true });
    const lastMs = callAfter(policy, "v", [
      ...repeat(10_000, 10 * MINUTE),
      ...repeat(8_000, 30 * MINUTE),
    ]);
    expect(policy.prewarmAtMs("v", lastMs)).toBe(lastMs + 27 * MINUTE);
  });

  test("forgets", () => {
    const policy = new HybridKeepAlive({ prewarms: true });
    callAfter(policy, "v", repeat(5, 30 * MINUTE));
    policy.forget("v");
    policy.forget("v");
    policy.called("w", 0);
    expect(policy.keepAliveMs("w", HOUR)).toBe(4 * HOUR);
    expect(policy.prewarmAtMs("v", HOUR)).toBeNull();
  });

  test("remembers the versions that were called last when there are too many", () => {
    const policy = new HybridKeepAlive({ prewarms: true, maxVersions: 3 });
    for (const version of ["a", "b", "c"]) callAfter(policy, version, repeat(5, 30 * MINUTE));
    const nowMs = 6 * 30 * MINUTE;
    policy.called("a", nowMs);
    policy.called("c", nowMs);
    policy.called("d", nowMs);
    expect(policy.prewarmAtMs("b", nowMs)).toBeNull();
    expect(policy.prewarmAtMs("a", nowMs)).toBe(nowMs + 27 * MINUTE);
    expect(policy.prewarmAtMs("c", nowMs)).toBe(nowMs + 27 * MINUTE);
    // The place of "b" was taken, not its idle times.
    expect(policy.keepAliveMs("d", nowMs + HOUR)).toBe(4 * HOUR);
  });
});
