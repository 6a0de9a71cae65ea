import { describe, expect, it } from "vitest";
import { Histogram } from "../dispatcher/histogram.ts";
import { createRandom } from "../dispatcher/test/random.ts";
import { decide, sampleOf, type RolloutFacts, type VersionSample } from "./rollout-decision.ts";
import { parseRules } from "./rollout-rules.ts";

interface Model {
  readonly requests: number;
  readonly errors?: number;
  readonly coldStarts?: number;
  /** Milliseconds of each request; the last one is that of all further ones. */
  readonly wall?: readonly number[];
  readonly cpuMs?: number | null;
}

function sample({
  requests,
  errors = 0,
  coldStarts = 0,
  wall = [2],
  cpuMs = 1,
}: Model): VersionSample {
  const times = new Histogram();
  for (let n = 0; n < requests; n++) times.add(wall[Math.min(n, wall.length - 1)] ?? 0);
  const cpu = new Histogram();
  if (cpuMs !== null) cpu.add(cpuMs, requests);
  return {
    requests,
    errors,
    coldStarts,
    wall: times.toData(),
    cpu: cpuMs === null ? null : cpu.toData(),
  };
}

/** Five hundred requests of the old version, at the end of the interval. */
function look(rules: string, candidate: Model, facts: Partial<RolloutFacts> = {}) {
  const parsed = parseRules(rules);
  if (!parsed.ok) throw new Error(parsed.failure);
  const versions = { candidate: sample(candidate), baseline: sample({ requests: 500 }), ...facts };
  return decide({
    rules: parsed.value,
    minRequests: 100,
    intervalMs: 60_000,
    elapsedMs: 60_000,
    alike: versions,
    ...versions,
  });
}

describe("a new version goes on", () => {
  it("when all rules are kept, it has its requests, and the interval is over", () => {
    const made = look("error_rate>1%,p99>+50%,cost>+50%", { requests: 100 });
    expect(made).toMatchObject({
      verdict: "advance",
      requests: { candidate: 100, baseline: 500 },
      checks: [
        { rule: "error_rate>1%", candidate: 0, limit: 0.01, state: "kept" },
        { rule: "p99>+50%", state: "kept" },
        { rule: "cost>+50%", state: "kept" },
      ],
    });
    expect(made.why).toContain("error_rate 0 % (old version 0 %, limit 1 %)");
  });

  it("not before it has the requests that it needs", () => {
    const made = look("error_rate>1%", { requests: 99 });
    expect(made).toMatchObject({
      verdict: "wait",
      why: "the new version has 99 of 100 requests",
    });
  });

  it("not before the interval is over", () => {
    const made = look("error_rate>1%", { requests: 5_000 }, { elapsedMs: 59_000 });
    expect(made).toMatchObject({ verdict: "wait", why: "59 of 60 s" });
  });

  it("not while what it does may be chance", () => {
    const made = look("error_rate>1%", { requests: 100, errors: 3 });
    expect(made.verdict).toBe("wait");
    expect(made.why).toContain("not sure yet of error_rate>1%: error_rate 3 %");
    expect(look("error_rate>1%", { requests: 300, errors: 3 }).verdict).toBe("advance");
  });

  it("without a comparison only where none is asked for", () => {
    const baseline = sample({ requests: 99 });
    for (const rule of ["error_rate>+50%", "p99>+50%", "cost>+50%"]) {
      expect(look(rule, { requests: 500 }, { baseline }).verdict).toBe("wait");
    }
    expect(look("p99>1s,error_rate>1%,cost>5ms", { requests: 500 }, { baseline }).verdict).toBe(
      "advance",
    );
  });
});

describe("a new version is rolled back", () => {
  it("before the interval and its requests are complete, when it fails too often to be chance", () => {
    const made = look("error_rate>1%", { requests: 60, errors: 5 }, { elapsedMs: 3_000 });
    expect(made.verdict).toBe("roll-back");
    expect(made.why).toBe(
      "error_rate 8.33 % (old version 0 %, limit 1 %) in 60 requests breaks error_rate>1%",
    );
  });

  it("not for single failures among its first requests", () => {
    expect(look("error_rate>1%", { requests: 9, errors: 9 }).verdict).toBe("wait");
    expect(look("error_rate>1%", { requests: 10, errors: 1 }).verdict).toBe("wait");
    expect(look("error_rate>1%", { requests: 10, errors: 10 }).verdict).toBe("roll-back");
  });

  it("when it fails more often than the old one", () => {
    const baseline = sample({ requests: 1_000, errors: 50 });
    expect(look("error_rate>+50%", { requests: 1_000, errors: 60 }, { baseline }).verdict).toBe(
      "advance",
    );
    expect(look("error_rate>+50%", { requests: 1_000, errors: 150 }, { baseline }).verdict).toBe(
      "roll-back",
    );
  });

  it("when too many of its requests are slower than the old one's", () => {
    const slow = (count: number) =>
      Array.from({ length: count + 1 }, (_, n) => (n < count ? 90 : 20));
    const baseline = sample({ requests: 500, wall: [20] });
    const p99 = (count: number, coldStarts = 0) =>
      look("p99>+50%", { requests: 200, wall: slow(count), coldStarts }, { baseline }).verdict;
    expect(p99(2)).toBe("advance");
    expect(p99(5)).toBe("wait");
    expect(p99(20)).toBe("roll-back");
    // Were these the first requests of its isolates, they say nothing of how it will be.
    expect(p99(20, 20)).toBe("advance");
  });

  it("not while one of them runs in a cell and the other does not", () => {
    const slow = { requests: 500, wall: [90] };
    expect(look("p99>+50%", slow, { alike: null }).verdict).toBe("wait");
    expect(look("p99>+50%", slow).verdict).toBe("roll-back");
    // A limit of its own it has to keep wherever it runs.
    expect(look("p99>80ms", slow, { alike: null }).verdict).toBe("roll-back");
    const few = { candidate: sample({ requests: 99 }), baseline: sample({ requests: 500 }) };
    expect(look("p99>+50%", { requests: 500 }, { alike: few }).verdict).toBe("wait");
  });

  it("not for differences that the clock or a hop between processes makes", () => {
    const baseline = sample({ requests: 500, wall: [1], cpuMs: 0.1 });
    const made = look(
      "p99>+50%,cost>+50%",
      { requests: 500, wall: [4], cpuMs: 0.25 },
      { baseline },
    );
    expect(made.verdict).toBe("advance");
  });

  it("when it costs more, at the end of the interval", () => {
    const candidate = { requests: 500, cpuMs: 1.7 };
    expect(look("cost>+50%", candidate, { elapsedMs: 59_000 }).verdict).toBe("wait");
    expect(look("cost>+50%", candidate).verdict).toBe("roll-back");
    expect(look("cost>1.8ms", candidate).verdict).toBe("advance");
    expect(look("cost>1.6ms", candidate).verdict).toBe("roll-back");
    expect(look("cost>+50%", { requests: 500, cpuMs: null }).verdict).toBe("wait");
  });

  it("practically never if it is sound, and practically always if it is not", () => {
    const random = createRandom(11);
    /** Twenty looks while requests come in. */
    const fate = (errorRate: number) => {
      let errors = 0;
      for (let requests = 50; requests <= 1_000; requests += 50) {
        for (let n = 0; n < 50; n++) errors += random() < errorRate ? 1 : 0;
        if (look("error_rate>1%", { requests, errors }).verdict === "roll-back") return true;
      }
      return false;
    };
    const outOf200 = (errorRate: number) =>
      Array.from({ length: 200 }, () => fate(errorRate)).filter(Boolean).length;
    expect(outOf200(0.005)).toBeLessThanOrEqual(1);
    expect(outOf200(0.05)).toBeGreaterThanOrEqual(199);
  });
});

describe("sampleOf", () => {
  it("counts the function's own 5xx as errors, and not what the platform refused", () => {
    const wall = new Histogram();
    wall.add(3, 100);
    const totals = {
      outcomes: { ok: 80, exception: 4, exceededCpu: 1, loadShed: 10, canceled: 5 },
      statuses: { "2xx": 77, "5xx": 3, none: 20 },
      requestBytes: 0,
      responseBytes: 0,
      wall: wall.toData(),
      coldStarts: 2,
      retries: 0,
      phases: {},
    };
    expect(sampleOf(totals)).toMatchObject({ requests: 90, errors: 8, coldStarts: 2, cpu: null });
  });

  it("of a version that had no request is empty", () => {
    expect(sampleOf(undefined)).toMatchObject({ requests: 0, errors: 0 });
  });
});
