import { describe, expect, test } from "vitest";
import { ScriptEntry } from "../namespace/script-entry.ts";
import { DEFAULT_PLATFORM_LIMITS, MAX_HOPS, type LimitSettings } from "../protocol/limits.ts";
import type { Place } from "../protocol/placement.ts";
import { refusalOf } from "./admission.ts";

const NOW_MS = Date.UTC(2026, 10, 23);

function entry(limits: LimitSettings, place: Partial<Place> = {}): ScriptEntry {
  const state = {
    generation: 1,
    namespace: "prod",
    script: "a",
    versionId: "8c3a1a3e-0000-4000-8000-000000000001",
    place: { kind: "edge" as const, why: "", refusedUntilMs: 0, ...place },
    limits: { ...DEFAULT_PLATFORM_LIMITS.defaults, ...limits },
  };
  return new ScriptEntry(state, { underWay: 0 });
}

/** The limits that refuse requests at these times, in milliseconds from the first; null: none does. */
function refusalsAt(it: ScriptEntry, edges: number, timesMs: readonly number[]) {
  return timesMs.map((atMs) => refusalOf(it, [], edges, NOW_MS + atMs)?.limit ?? null);
}

describe("requests per second", () => {
  const limited = "rateLimited";

  test("a second's worth at once, then as many as time allows", () => {
    const it = entry({ requests_per_second: 2 });
    const times = [0, 0, 0, 499, 500, 500, 1000, 1000];
    expect(refusalsAt(it, 1, times)).toEqual([
      null,
      null,
      limited,
      limited,
      null,
      limited,
      null,
      limited,
    ]);
  });

  test("idle time saves up no more than a second's worth", () => {
    const it = entry({ requests_per_second: 2 });
    refusalsAt(it, 1, [0, 0]);
    expect(refusalsAt(it, 1, [60_000, 60_000, 60_000])).toEqual([null, null, limited]);
  });

  test("each edge has its share, and never less than one request", () => {
    const it = entry({ requests_per_second: 1 });
    const times = [0, 0, 1000, 3999, 4000];
    expect(refusalsAt(it, 4, times)).toEqual([null, limited, limited, limited, null]);
  });

  test("a clock that is set back neither gives nor takes", () => {
    const it = entry({ requests_per_second: 1 });
    expect(refusalsAt(it, 1, [0, -5000, -4000])).toEqual([null, limited, null]);
  });

  test("the refusal tells when there is room again", () => {
    const it = entry({ requests_per_second: 1 });
    refusalOf(it, [], 4, NOW_MS);
    const refusal = refusalOf(it, [], 4, NOW_MS + 500);
    expect(refusal?.retryAfterSeconds).toBe(4);
    expect(refusal?.message).toContain("requests_per_second = 1");
  });

  test("0 stands for no limit", () => {
    const it = entry({ requests_per_second: 0 });
    expect(refusalsAt(it, 1, [0, 0, 0, 0])).toEqual([null, null, null, null]);
  });

  test("a new version does not fill the bucket", () => {
    const it = entry({ requests_per_second: 1 });
    refusalOf(it, [], 1, NOW_MS);
    it.take({ ...it.state, versionId: "8c3a1a3e-0000-4000-8000-000000000002" });
    expect(refusalsAt(it, 1, [0])).toEqual([limited]);
  });
});

describe("concurrency", () => {
  test.each(["concurrency", "namespace_concurrency"] as const)("%s", (limit) => {
    const it = entry({ [limit]: 2 });
    const usage = limit === "concurrency" ? it : it.namespaceUsage;
    usage.underWay = 1;
    expect(refusalOf(it, [], 1, NOW_MS)).toBeUndefined();
    usage.underWay = 2;
    const refusal = refusalOf(it, [], 1, NOW_MS);
    expect(refusal?.limit).toBe("tooManyConcurrent");
    expect(refusal?.message).toContain(`${limit} = 2`);
  });
});

describe("loops", () => {
  test("a chain that is not too long may go on, also through the same function", () => {
    const via = Array.from({ length: MAX_HOPS - 1 }, () => "prod/a");
    expect(refusalOf(entry({}), via, 1, NOW_MS)).toBeUndefined();
  });

  test("the refusal names the ring", () => {
    const via = Array.from({ length: MAX_HOPS }, (_, n) => (n % 2 === 0 ? "prod/a" : "prod/b"));
    const refusal = refusalOf(entry({}), via, 1, NOW_MS);
    expect(refusal?.limit).toBe("loop");
    expect(refusal?.message).toContain(": prod/a -> prod/b -> prod/a;");
  });

  test("or the whole chain, if there is no ring", () => {
    const via = Array.from({ length: MAX_HOPS }, (_, n) => `prod/f${n}`);
    expect(refusalOf(entry({}), via, 1, NOW_MS)?.message).toContain("prod/f0 -> prod/f1 -> ");
  });
});

test("a convicted version is refused until its time is over", () => {
  const it = entry({}, { refusedUntilMs: NOW_MS + 2500 });
  const refusal = refusalOf(it, [], 1, NOW_MS);
  expect(refusal?.limit).toBe("backOff");
  expect(refusal?.retryAfterSeconds).toBe(3);
  expect(refusal?.message).toMatch(/^Worker exceeded resource limits repeatedly/);
  expect(refusalOf(it, [], 1, NOW_MS + 2500)).toBeUndefined();
});
