import { describe, expect, it } from "vitest";
import type { MetricsSummary, NamespaceMetrics } from "../protocol/metrics-report.ts";
import { renderStats, watchStats } from "./stats.ts";

function summary(more: Partial<MetricsSummary>): MetricsSummary {
  return {
    requests: 0,
    errors: 0,
    outcomes: {},
    statuses: {},
    requestBytes: 0,
    responseBytes: 0,
    wallMs: null,
    cpuMs: null,
    coldStarts: 0,
    retries: 0,
    phasesMs: {},
    ...more,
  };
}

function distribution(p50: number, mean = p50) {
  return { count: 1, mean, p50, p90: p50 * 2, p99: p50 * 3 };
}

const METRICS: NamespaceMetrics = {
  namespace: "production",
  sinceMs: Date.parse("2026-11-23T11:00:00Z"),
  untilMs: Date.parse("2026-11-23T12:00:00Z"),
  functions: [
    {
      script: "idle",
      place: { kind: "probation", why: "new version" },
      summary: summary({}),
      kinds: [],
    },
    {
      script: "busy-function",
      place: { kind: "dedicated", why: "stalled cell 1 at 12:03:01Z" },
      summary: summary({
        requests: 1_200,
        errors: 3,
        outcomes: { ok: 1_197, exceededCpu: 2, loadShed: 1 },
        wallMs: distribution(12.4),
        cpuMs: distribution(1, 1.234),
        coldStarts: 2,
        phasesMs: {
          place: distribution(0),
          fetch: distribution(2),
          load: distribution(8),
          first: distribution(1),
        },
      }),
      kinds: [{ kind: "fetch", ...summary({ requests: 1_200 }) }],
    },
    {
      script: "timed",
      place: { kind: "edge", why: "proven" },
      summary: summary({ requests: 3, retries: 1, errors: 1, wallMs: distribution(40) }),
      kinds: [
        {
          kind: "scheduled",
          ...summary({ requests: 2, retries: 1, errors: 1, wallMs: distribution(50) }),
        },
        { kind: "fetch", ...summary({ requests: 1, wallMs: distribution(2) }) },
      ],
    },
  ],
};

describe("renderStats", () => {
  it("lines the columns up, the busiest function first", () => {
    expect(renderStats(METRICS)).toEqual([
      "production, 60 min until 2026-11-23T12:00:00Z",
      "",
      "function       place      requests  err %  again  lim  cpu ms  p50 ms  p99 ms  cold  place  fetch  load  first  why",
      "busy-function  dedicated      1200    0.3      0    3    1.23      12      37     2     <1      2     8      1  stalled cell 1 at 12:03:01Z",
      "timed          edge              3   33.3      1    0       -      40     120     0      -      -     -      -  proven",
      "  scheduled                      2   50.0      1    0       -      50     150     0      -      -     -      -",
      "  fetch                          1    0.0      0    0       -       2       6     0      -      -     -      -",
      "idle           probation         0      -      0    0       -       -       -     0      -      -     -      -  new version",
    ]);
  });

  it("says so when there is no function", () => {
    expect(renderStats({ ...METRICS, functions: [] }).at(-1)).toBe(
      "no function in namespace production",
    );
  });
});

describe("watchStats", () => {
  /** Runs until `reads` reads were made; returns what was written. */
  async function watch(
    reads: number,
    terminal: { isTTY: boolean; columns: number; rows: number },
    read: (index: number) => NamespaceMetrics,
  ): Promise<string[]> {
    const writes: string[] = [];
    const end = new AbortController();
    let index = 0;
    const write = (text: string) => {
      writes.push(text);
      if (writes.length === reads) end.abort();
      return true;
    };
    await watchStats({
      fetchMetrics: async () => read(index++),
      output: { ...terminal, write: write as NodeJS.WriteStream["write"] },
      signal: end.signal,
      intervalMs: 1,
    });
    return writes;
  }

  it("redraws in place on a terminal, within its size", async () => {
    const terminal = { isTTY: true, columns: 40, rows: 5 };
    const [first, second] = await watch(2, terminal, () => METRICS);
    const lines = (first ?? "").trimEnd().split("\n");
    expect(lines).toHaveLength(4);
    for (const line of lines) expect(line.length).toBeLessThan(40);
    expect(second).toBe(`\u001B[4F\u001B[J${first}`);
  });

  it("writes one table after the other elsewhere", async () => {
    const [first, second] = await watch(2, { isTTY: false, columns: 40, rows: 5 }, () => METRICS);
    expect(first).toBe(`${renderStats(METRICS).join("\n")}\n\n`);
    expect(second).toBe(first);
  });

  it("keeps the last table and says why when a read fails", async () => {
    const terminal = { isTTY: false, columns: 80, rows: 24 };
    const [, second, third] = await watch(3, terminal, (index) => {
      if (index === 1) throw new Error("the API does not answer");
      return METRICS;
    });
    expect(second).toContain("cannot read metrics: the API does not answer\n");
    expect(second).toContain("busy-function");
    expect(third).toContain("60 min until");
  });
});
