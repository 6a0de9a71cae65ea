/**
 * Estimates CPU time per invocation. workerd has no CPU clock per invocation, but each edge process has
 * one: what it used between two flushes is shared among the invocations that ended in between.
 *
 * Each function has a learned cost per invocation (cpu-cost.ts). The costs are scaled so that the
 * interval's total is right, and no invocation is charged more than its wall time plus the clock's step.
 * So a function that waits is not charged for its neighbours. What the process uses by itself is learned
 * as one more function, which runs for as many seconds as the interval lasted.
 */
import { Histogram, bucketValue } from "../dispatcher/histogram.ts";
import type { CpuClock } from "../protocol/hub.ts";
import type { HistogramData } from "../protocol/telemetry.ts";
import { Cost, CostHistory } from "./cpu-cost.ts";

/** What one function did in an interval. */
export interface CpuUse {
  /** Names the function. */
  readonly key: string;
  /** Costs are learned for each; of one that is new, that of the function's version before is assumed. */
  readonly versionId: string;
  readonly wall: HistogramData;
  /** Time spent loading the isolate in this interval. It is not charged to invocations. */
  readonly loadMs: number;
}

/** workerd's timers have this resolution, so a wall time of 0 may hide up to this much. */
const CLOCK_STEP_MS = 1;
/** A function is known after this many intervals; then one interval charges at most MOST_SCALE its cost. */
const KNOWN_AFTER = 20;
const MOST_SCALE = 4;
/** Bound of what a process is believed to use per second by itself: heartbeats, garbage collection. */
const MOST_BACKGROUND_MS = 4;
/** Functions, and versions of each, whose cost is remembered; the longest unused is forgotten first. */
const MAX_FUNCTIONS = 10_000;
const MAX_VERSIONS = 4;

const NO_INVOCATION: HistogramData = { count: 0, sum: 0, zero: 0, buckets: [] };

interface Reading extends CpuClock {
  readonly atMs: number;
}

export class CpuShare {
  /** By function and version; in each Map the last is the one used last. */
  readonly #costs = new Map<string, Map<string, Cost>>();
  readonly #readings = new Map<number, Reading>();
  readonly #history = new CostHistory();
  readonly #background = new Cost();

  constructor() {
    this.#background.observeWall(MOST_BACKGROUND_MS - CLOCK_STEP_MS);
  }

  /** The learned cost of one invocation of the version that ran last; null if the function was never seen. */
  costMs(key: string): number | null {
    return [...(this.#costs.get(key)?.values() ?? [])].at(-1)?.ms ?? null;
  }

  /**
   * Estimates for the invocations that one edge reported, in the order of `uses`. null while there is
   * no earlier reading of that process's clock to subtract.
   */
  share(
    edge: number,
    clock: CpuClock,
    nowMs: number,
    uses: readonly CpuUse[],
  ): HistogramData[] | null {
    const before = this.#readings.get(edge);
    this.#readings.set(edge, { ...clock, atMs: nowMs });
    if (before === undefined || before.life !== clock.life) return null;
    const usedMs = Math.max(0, clock.cpuMs - before.cpuMs);
    const loadMs = uses.reduce((sum, use) => sum + use.loadMs, 0);
    const seconds = Math.max(0, nowMs - before.atMs) / 1000;

    const counts = this.#count(uses).set(this.#background, seconds);
    // Loading takes many times what an invocation does, and loads that overlap are counted twice: such
    // an interval teaches nothing, and its invocations are charged at least what they cost otherwise.
    if (loadMs === 0 && counts.size > 1) this.#history.learn(usedMs, [...counts], CLOCK_STEP_MS);
    const background = createBill(this.#background, NO_INVOCATION, seconds);
    const bills = uses.map((use) => createBill(this.#cost(use), use.wall, use.wall.count));
    const expectedMs = bills.reduce((sum, bill) => sum + bill.expectedMs, 0);
    const chargedMs = Math.max(usedMs - loadMs, Math.min(usedMs, expectedMs));
    const scale = findScale([background, ...bills], chargedMs);
    return bills.map((bill) => spread(bill, charge(bill, scale)));
  }

  #count(uses: readonly CpuUse[]): Map<Cost, number> {
    const counts = new Map<Cost, number>();
    for (const use of uses) {
      const { wall } = use;
      if (wall.count === 0) continue;
      const cost = this.#cost(use);
      counts.set(cost, (counts.get(cost) ?? 0) + wall.count);
      cost.observeWall(wall.sum / wall.count);
    }
    return counts;
  }

  #cost({ key, versionId }: CpuUse): Cost {
    const versions = this.#costs.get(key) ?? new Map<string, Cost>();
    const cost = versions.get(versionId) ?? new Cost(this.costMs(key) ?? undefined);
    putLast(versions, versionId, cost, MAX_VERSIONS);
    putLast(this.#costs, key, versions, MAX_FUNCTIONS);
    return cost;
  }
}

/** A Map is in order of insertion: the first is the longest unused, and goes when there are too many. */
function putLast<Value>(map: Map<string, Value>, key: string, value: Value, most: number): void {
  map.delete(key);
  map.set(key, value);
  if (map.size <= most) return;
  for (const oldest of map.keys()) {
    map.delete(oldest);
    return;
  }
}

/** What the invocations of one function may be charged together. */
interface Bill {
  readonly wall: HistogramData;
  /** By the learned cost. */
  readonly expectedMs: number;
  readonly mostScale: number;
  /** By their wall times. */
  readonly mostMs: number;
}

function createBill(cost: Cost, wall: HistogramData, count: number): Bill {
  return {
    wall,
    expectedMs: cost.ms * count,
    mostScale: cost.intervals < KNOWN_AFTER ? Infinity : MOST_SCALE,
    mostMs: wall === NO_INVOCATION ? MOST_BACKGROUND_MS * count : sumBounded(wall, Infinity),
  };
}

function charge({ expectedMs, mostScale, mostMs }: Bill, scale: number): number {
  return Math.min(mostMs, expectedMs * Math.min(scale, mostScale));
}

/** The scale at which the charges add up to `usedMs`, or one past all bounds if they never do. */
function findScale(bills: readonly Bill[], usedMs: number): number {
  const total = (scale: number) => bills.reduce((sum, bill) => sum + charge(bill, scale), 0);
  return solve(total, usedMs, 1);
}

/** Charges each invocation the same, except those whose wall time was less, so that the sum is `totalMs`. */
function spread({ wall }: Bill, totalMs: number): HistogramData {
  const each = solve((ms) => sumBounded(wall, ms), totalMs, totalMs / Math.max(1, wall.count));
  const histogram = new Histogram();
  if (wall.zero > 0) histogram.add(Math.min(each, CLOCK_STEP_MS), wall.zero);
  for (const [index, count] of wall.buckets) {
    histogram.add(Math.min(each, bucketValue(index) + CLOCK_STEP_MS), count);
  }
  return histogram.toData();
}

/** Sum over all invocations of `ms`, or of the wall time plus the clock's step where that is less. */
function sumBounded(wall: HistogramData, ms: number): number {
  let sum = wall.zero * Math.min(ms, CLOCK_STEP_MS);
  for (const [index, count] of wall.buckets) {
    sum += count * Math.min(ms, bucketValue(index) + CLOCK_STEP_MS);
  }
  return sum;
}

/** The x >= 0 with f(x) = y, for an f that never falls; a large x if f never gets there. */
function solve(f: (x: number) => number, y: number, guess: number): number {
  let low = 0;
  let high = Math.max(guess, 1e-6);
  while (f(high) < y && high < 1e9) {
    low = high;
    high *= 2;
  }
  for (let round = 0; round < 20; round += 1) {
    const middle = (low + high) / 2;
    if (f(middle) < y) low = middle;
    else high = middle;
  }
  return high;
}
