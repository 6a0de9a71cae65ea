import { describe, expect, it } from "vitest";
import { Histogram } from "../dispatcher/histogram.ts";
import { createRandom, poisson } from "../dispatcher/test/random.ts";
import type { HistogramData } from "../protocol/telemetry.ts";
import { CpuShare, type CpuUse } from "./cpu-share.ts";

const INTERVAL_MS = 250;

interface FunctionModel {
  readonly key: string;
  /** @default "1" */
  readonly versionId?: string;
  /** Mean number of invocations in an interval. */
  readonly rate: number;
  /** Mean CPU time; single invocations take between half and one and a half of it. */
  readonly cpuMs: number;
  /** Time spent waiting besides. */
  readonly waitMs: number;
}

interface Tally {
  realMs: number;
  estimatedMs: number;
}

/** Runs a process with these functions; the tally is of the second half. */
function simulate(models: readonly FunctionModel[], intervals: number, backgroundMs = 0) {
  const random = createRandom(3);
  const share = new CpuShare();
  const tallies = new Map<string, Tally>();
  let cpuMs = 300;
  share.share(0, { life: 1, cpuMs }, 0, []);
  for (let interval = 1; interval <= intervals; interval += 1) {
    cpuMs += backgroundMs * random() * 2;
    const uses: CpuUse[] = [];
    const real: number[] = [];
    for (const model of models) {
      const wall = new Histogram();
      let usedMs = 0;
      for (let count = poisson(random, model.rate); count > 0; count -= 1) {
        const cpu = model.cpuMs * (0.5 + random());
        usedMs += cpu;
        // A clock of whole milliseconds, read before and after.
        wall.add(Math.floor(cpu + model.waitMs + random()));
      }
      if (wall.count === 0) continue;
      uses.push({
        key: model.key,
        versionId: model.versionId ?? "1",
        wall: wall.toData(),
        loadMs: 0,
      });
      real.push(usedMs);
      cpuMs += usedMs;
    }
    const shares = share.share(0, { life: 1, cpuMs }, interval * INTERVAL_MS, uses) ?? [];
    if (interval <= intervals / 2) continue;
    for (const [index, { key: name, versionId }] of uses.entries()) {
      const key = versionId === "1" ? name : `${name}@${versionId}`;
      const tally = tallies.get(key) ?? { realMs: 0, estimatedMs: 0 };
      tally.realMs += real[index] ?? 0;
      tally.estimatedMs += shares[index]?.sum ?? 0;
      tallies.set(key, tally);
    }
  }
  const ratio = (key: string) => {
    const { realMs, estimatedMs } = tallies.get(key) as Tally;
    return estimatedMs / realMs;
  };
  const all = [...tallies.values()];
  const sum = (part: keyof Tally) => all.reduce((total, tally) => total + tally[part], 0);
  return { share, ratio, totalRatio: sum("estimatedMs") / sum("realMs"), tallies };
}

function wallOf(...values: number[]): HistogramData {
  const wall = new Histogram();
  for (const value of values) wall.add(value);
  return wall.toData();
}

describe("learning", () => {
  it("tells functions of 1 ms and 10 ms apart that run mixed at random", () => {
    const { share, ratio, totalRatio } = simulate(
      [
        { key: "small", rate: 15, cpuMs: 1, waitMs: 0 },
        { key: "large", rate: 8, cpuMs: 10, waitMs: 0 },
      ],
      1_000,
    );
    expect(share.costMs("small")).toBeGreaterThan(0.85);
    expect(share.costMs("small")).toBeLessThan(1.15);
    expect(share.costMs("large")).toBeGreaterThan(8.5);
    expect(share.costMs("large")).toBeLessThan(11.5);
    expect(Math.abs(ratio("small") - 1)).toBeLessThan(0.15);
    expect(Math.abs(ratio("large") - 1)).toBeLessThan(0.15);
    expect(Math.abs(totalRatio - 1)).toBeLessThan(0.03);
  });

  it("tells two versions of one function apart, and charges a new one as the one before at first", () => {
    const versions = (rate: number) =>
      simulate(
        [
          { key: "f", rate: 20, cpuMs: 2, waitMs: 5 },
          { key: "f", versionId: "2", rate, cpuMs: 4, waitMs: 5 },
        ],
        1_000,
      );
    const { ratio } = versions(2);
    expect(Math.abs(ratio("f") - 1)).toBeLessThan(0.1);
    expect(Math.abs(ratio("f@2") - 1)).toBeLessThan(0.25);

    const share = new CpuShare();
    let cpuMs = 0;
    share.share(0, { life: 1, cpuMs }, 0, []);
    const run = (uses: readonly CpuUse[], usedMs: number, at: number) =>
      share.share(0, { life: 1, cpuMs: (cpuMs += usedMs) }, at, uses) ?? [];
    const old = {
      key: "f",
      versionId: "1",
      wall: wallOf(...Array.from({ length: 20 }, () => 9)),
      loadMs: 0,
    };
    for (let n = 1; n <= 100; n++) run([old], 100, n * INTERVAL_MS);
    const fresh = { key: "f", versionId: "2", wall: wallOf(9), loadMs: 0 };
    const [, ofFresh] = run([old, fresh], 105, 101 * INTERVAL_MS);
    expect(ofFresh?.sum).toBeGreaterThan(4.5);
    expect(ofFresh?.sum).toBeLessThan(5.5);
  });

  it("does not charge a function that waits for the one that computes beside it", () => {
    const { share, ratio } = simulate(
      [
        { key: "waits", rate: 2, cpuMs: 0.2, waitMs: 1_000 },
        { key: "computes", rate: 10, cpuMs: 5, waitMs: 0 },
      ],
      1_000,
    );
    expect(share.costMs("waits")).toBeLessThan(0.6);
    expect(Math.abs(ratio("computes") - 1)).toBeLessThan(0.05);
  });

  it("keeps what the process uses by itself from a rarely called function that waits", () => {
    const { tallies } = simulate(
      [{ key: "rare", rate: 0.02, cpuMs: 0.3, waitMs: 500 }],
      8_000,
      0.5,
    );
    const { realMs, estimatedMs } = tallies.get("rare") as Tally;
    // 50 intervals of background lie between two calls: 25 ms against 0.3 ms.
    expect(estimatedMs / realMs).toBeLessThan(15);
  });
});

describe("one interval", () => {
  it("charges no invocation more than its wall time and one step of the clock", () => {
    const share = new CpuShare();
    share.share(0, { life: 1, cpuMs: 0 }, 0, []);
    const uses = [{ key: "f", versionId: "1", wall: wallOf(0, 0, 3, 40), loadMs: 0 }];
    const [cpu] = share.share(0, { life: 1, cpuMs: 5_000 }, INTERVAL_MS, uses) ?? [];
    expect(cpu?.count).toBe(4);
    const charged = Histogram.from(cpu as HistogramData);
    expect(charged.quantile(0.3)).toBeLessThanOrEqual(1.02);
    expect(charged.quantile(0.7)).toBeLessThanOrEqual(4.1);
    expect(charged.quantile(1)).toBeLessThanOrEqual(42);
    expect(charged.sum).toBeLessThanOrEqual(1 + 1 + 4.1 + 41.5);
  });

  it("does not charge invocations for loading their isolate", () => {
    const share = new CpuShare();
    share.share(0, { life: 1, cpuMs: 0 }, 0, []);
    const uses = [{ key: "f", versionId: "1", wall: wallOf(60), loadMs: 45 }];
    const [cpu] = share.share(0, { life: 1, cpuMs: 47 }, INTERVAL_MS, uses) ?? [];
    expect(cpu?.sum).toBeLessThan(2.1);
    expect(cpu?.sum).toBeGreaterThan(0.4);
  });

  it("answers with estimates in the order of the uses, also for two versions of a function", () => {
    const share = new CpuShare();
    share.share(0, { life: 1, cpuMs: 0 }, 0, []);
    const uses = [
      { key: "f", versionId: "1", wall: wallOf(9, 9, 9), loadMs: 0 },
      { key: "g", versionId: "1", wall: wallOf(9), loadMs: 0 },
      { key: "f", versionId: "1", wall: wallOf(9, 9), loadMs: 0 },
    ];
    const shares = share.share(0, { life: 1, cpuMs: 6 }, INTERVAL_MS, uses) ?? [];
    expect(shares.map(({ count }) => count)).toEqual([3, 1, 2]);
    const total = shares.reduce((sum, { sum: part }) => sum + part, 0);
    expect(total).toBeGreaterThan(5.5);
    expect(total).toBeLessThanOrEqual(6.001);
  });
});

describe("the clock", () => {
  const uses = [{ key: "f", versionId: "1", wall: wallOf(20), loadMs: 0 }];

  it("gives no estimate before there are two readings of the same process", () => {
    const share = new CpuShare();
    expect(share.share(0, { life: 1, cpuMs: 500 }, 0, uses)).toBe(null);
    expect(share.share(1, { life: 1, cpuMs: 900 }, 0, uses)).toBe(null);
    expect(share.share(0, { life: 1, cpuMs: 510 }, INTERVAL_MS, uses)).toHaveLength(1);
  });

  it("starts anew when the process was replaced", () => {
    const share = new CpuShare();
    share.share(0, { life: 1, cpuMs: 500 }, 0, uses);
    expect(share.share(0, { life: 2, cpuMs: 40 }, 250, uses)).toBe(null);
    const [cpu] = share.share(0, { life: 2, cpuMs: 48 }, 500, uses) ?? [];
    expect(cpu?.sum).toBeGreaterThan(6);
    expect(cpu?.sum).toBeLessThan(8.1);
  });

  it("charges nothing for readings that arrive in the wrong order", () => {
    const share = new CpuShare();
    share.share(0, { life: 1, cpuMs: 500 }, 0, uses);
    const [cpu] = share.share(0, { life: 1, cpuMs: 490 }, 1, uses) ?? [];
    expect(cpu?.sum).toBeLessThan(0.01);
  });
});
