/**
 * Learns what one invocation of each function costs, from totals over many functions: bounded least
 * squares over the recent intervals, solved by coordinate descent that starts from the last solution.
 * Pure bookkeeping; who uses what is decided in cpu-share.ts.
 */

/** What is assumed of a function that was never seen until intervals say otherwise. */
const PRIOR_COST_MS = 0.5;
/** Weight of that assumption, in squared invocations per millisecond of an interval (see `weight`). */
const PRIOR_WEIGHT = 0.3;
/** No invocation is free: the dispatcher alone takes this much. */
const LEAST_COST_MS = 0.02;
/** Four minutes of a busy edge. Fewer forget sooner what changed, more tell apart smaller costs. */
const MAX_INTERVALS = 1_024;
/** Bounds the work of a correction to well under a millisecond, however many functions run. */
const MAX_ENTRIES = 20_000;
/** Functions that are called in step need several corrections, each of which sees those of the others. */
const SWEEPS = 4;
/** The mean wall time follows the last invocations about this many intervals back. */
const WALL_INTERVALS = 50;

interface Interval {
  readonly usedMs: number;
  /** Longer intervals vary more: their variance grows with what they used. */
  readonly weight: number;
  readonly counts: readonly (readonly [cost: Cost, count: number])[];
  /** What the costs leave unexplained. */
  residualMs: number;
  isRecent: boolean;
}

export class Cost {
  /** CPU time of one invocation, learned. */
  ms: number;
  /** Intervals that have taught this cost. */
  intervals = 0;
  readonly #priorMs: number;
  #wallMs = 0;
  #seen = 0;
  #entries: { readonly interval: Interval; readonly count: number }[] = [];

  /** `priorMs`: what is assumed until intervals say otherwise. */
  constructor(priorMs = PRIOR_COST_MS) {
    this.ms = priorMs;
    this.#priorMs = priorMs;
  }

  observeWall(meanMs: number): void {
    this.#seen += 1;
    this.#wallMs += (meanMs - this.#wallMs) / Math.min(this.#seen, WALL_INTERVALS);
  }

  enter(interval: Interval, count: number): void {
    this.#entries.push({ interval, count });
    this.intervals += 1;
  }

  leave(): void {
    const kept = this.#entries.findIndex(({ interval }) => interval.isRecent);
    this.#entries.splice(0, kept === -1 ? this.#entries.length : kept);
  }

  /** Moves to the cost that explains the intervals best while all other costs stay. */
  correct(clockStepMs: number): void {
    let pull = PRIOR_WEIGHT * (this.#priorMs - this.ms);
    let norm = PRIOR_WEIGHT;
    for (const { interval, count } of this.#entries) {
      pull += interval.weight * count * interval.residualMs;
      norm += interval.weight * count * count;
    }
    const most = this.#wallMs + clockStepMs;
    const corrected = Math.min(most, Math.max(LEAST_COST_MS, this.ms + pull / norm));
    const change = corrected - this.ms;
    for (const { interval, count } of this.#entries) interval.residualMs -= count * change;
    this.ms = corrected;
  }
}

export class CostHistory {
  readonly #intervals: Interval[] = [];
  #entries = 0;

  /** Takes in what was used by `counts` invocations and corrects all costs that recent intervals know. */
  learn(usedMs: number, counts: Interval["counts"], clockStepMs: number): void {
    const interval = { usedMs, weight: 1 / (1 + usedMs), counts, residualMs: 0, isRecent: true };
    this.#intervals.push(interval);
    this.#entries += counts.length;
    for (const [cost, count] of counts) cost.enter(interval, count);
    while (this.#intervals.length > MAX_INTERVALS || this.#entries > MAX_ENTRIES) this.#forget();

    const costs = new Set<Cost>();
    for (const recent of this.#intervals) {
      recent.residualMs = recent.usedMs;
      for (const [cost, count] of recent.counts) {
        recent.residualMs -= cost.ms * count;
        costs.add(cost);
      }
    }
    for (let sweep = 0; sweep < SWEEPS; sweep += 1) {
      for (const cost of costs) cost.correct(clockStepMs);
    }
  }

  #forget(): void {
    const oldest = this.#intervals.shift();
    if (oldest === undefined) return;
    oldest.isRecent = false;
    this.#entries -= oldest.counts.length;
    for (const [cost] of oldest.counts) cost.leave();
  }
}
