/**
 * The hybrid histogram policy of M. Shahrad et al., "Serverless in the Wild: Characterizing and Optimizing the
 * Serverless Workload at a Large Cloud Provider", USENIX ATC 2020, section 4.
 *
 * For each version a histogram of its idle times, in bins of a minute up to four hours. Does it show a rhythm,
 * the isolate ends after a call, is loaded again shortly before the 5th percentile of the idle times, and stays
 * until shortly after the 99th; for callers that load nothing in advance it stays all the while. Does it not, the
 * isolate stays for as long as the histogram reaches.
 *
 * Where this differs from the paper: idle times run from the beginning of one call to that of the next, since
 * the end of a call is not told; an isolate is never given up within the first bin after a call, in which the
 * call may still run; where most idle times lie beyond the histogram the paper forecasts them with an ARIMA model,
 * and here a fixed time holds: a cold start costs an isolate 10 ms, not seconds, and not a forecast.
 */
import { FIXED_KEEP_ALIVE_MS, type KeepAlive } from "./keep-alive.ts";

const BIN_MS = 60_000;
const BINS = 4 * 60;
/** How long the version stays while its histogram says nothing: as long as it reaches. */
const STANDARD_KEEP_ALIVE_MS = BINS * BIN_MS;

const HEAD = 0.05;
const TAIL = 0.99;
/** Room for error: so much earlier than the head, so much later than the tail. */
const MARGIN = 0.1;

/** Fewer idle times than this are no rhythm. */
const MIN_SAMPLES = 5;
/** Below this coefficient of variation of the bins' counts the histogram is too flat to tell anything. */
const MIN_BIN_CV = 2;
/** Above this share of idle times beyond the last bin the histogram is not about this version. */
const MAX_BEYOND = 0.5;

/** After so many idle times of a bin or more all counts are halved: what was long ago counts less and less. */
const HALVE_AFTER = 1_000;

export interface HybridOptions {
  /**
   * Whether the caller loads versions when `prewarmAtMs` says. One that does not would make every call of a steady
   * version a cold start.
   * @default false
   */
  readonly prewarms?: boolean;
  /** Of so many versions the idle times are remembered; about 500 bytes each. @default 10,000 */
  readonly maxVersions?: number;
}

interface Windows {
  readonly prewarmMs: number;
  readonly keepAliveMs: number;
}

export class HybridKeepAlive implements KeepAlive {
  readonly #prewarms: boolean;
  readonly #maxVersions: number;
  /** Where in the arrays a version's numbers are. */
  readonly #slots = new Map<string, number>();
  readonly #free: number[] = [];
  readonly #lastCallMs: Float64Array;
  /** Idle times of the first bin: nearly all calls of a busy version, so it may count far. */
  readonly #quick: Float64Array;
  /** Of each version the counts of all bins; that of the first one is not used. */
  readonly #bins: Uint16Array;
  /** Idle times beyond the last bin. */
  readonly #beyond: Uint16Array;
  /** Idle times of a bin or more since the counts were halved. */
  readonly #recorded: Uint16Array;

  constructor({ prewarms = false, maxVersions = 10_000 }: HybridOptions = {}) {
    this.#prewarms = prewarms;
    this.#maxVersions = maxVersions;
    // Pages of these that nobody writes to take no memory.
    this.#lastCallMs = new Float64Array(maxVersions);
    this.#quick = new Float64Array(maxVersions);
    this.#bins = new Uint16Array(maxVersions * BINS);
    this.#beyond = new Uint16Array(maxVersions);
    this.#recorded = new Uint16Array(maxVersions);
  }

  called(versionId: string, nowMs: number): void {
    const slot = this.#slots.get(versionId);
    if (slot === undefined) {
      this.#lastCallMs[this.#take(versionId)] = nowMs;
      return;
    }
    const idleMs = nowMs - at(this.#lastCallMs, slot);
    this.#lastCallMs[slot] = nowMs;
    if (idleMs < BIN_MS) this.#quick[slot] = at(this.#quick, slot) + 1;
    else this.#record(slot, Math.floor(idleMs / BIN_MS));
  }

  keepAliveMs(versionId: string, nowMs: number): number {
    const slot = this.#slots.get(versionId);
    if (slot === undefined) return STANDARD_KEEP_ALIVE_MS;
    const idleMs = nowMs - at(this.#lastCallMs, slot);
    if (idleMs < BIN_MS) return BIN_MS;
    const { prewarmMs, keepAliveMs } = this.#windows(slot);
    return idleMs < prewarmMs ? BIN_MS : keepAliveMs;
  }

  prewarmAtMs(versionId: string, nowMs: number): number | null {
    const slot = this.#slots.get(versionId);
    if (slot === undefined) return null;
    const lastCallMs = at(this.#lastCallMs, slot);
    const { prewarmMs, keepAliveMs } = this.#windows(slot);
    if (prewarmMs === 0 || nowMs > lastCallMs + keepAliveMs) return null;
    return lastCallMs + prewarmMs;
  }

  forget(versionId: string): void {
    const slot = this.#slots.get(versionId);
    if (slot === undefined) return;
    this.#slots.delete(versionId);
    this.#free.push(slot);
    this.#quick[slot] = 0;
    this.#beyond[slot] = 0;
    this.#recorded[slot] = 0;
    this.#bins.fill(0, slot * BINS, (slot + 1) * BINS);
  }

  /** A place for a version that is met for the first time, if need be that of the longest idle one. */
  #take(versionId: string): number {
    if (this.#slots.size >= this.#maxVersions) this.#forgetLongestIdle();
    const slot = this.#free.pop() ?? this.#slots.size;
    this.#slots.set(versionId, slot);
    return slot;
  }

  #forgetLongestIdle(): void {
    let longestIdle = "";
    let lastCallMs = Infinity;
    for (const [versionId, slot] of this.#slots) {
      if (at(this.#lastCallMs, slot) >= lastCallMs) continue;
      lastCallMs = at(this.#lastCallMs, slot);
      longestIdle = versionId;
    }
    this.forget(longestIdle);
  }

  #record(slot: number, bin: number): void {
    if (bin < BINS) this.#bins[slot * BINS + bin] = at(this.#bins, slot * BINS + bin) + 1;
    else this.#beyond[slot] = at(this.#beyond, slot) + 1;
    const recorded = at(this.#recorded, slot) + 1;
    this.#recorded[slot] = recorded % HALVE_AFTER;
    if (recorded === HALVE_AFTER) this.#halve(slot);
  }

  #halve(slot: number): void {
    this.#quick[slot] = Math.floor(at(this.#quick, slot) / 2);
    this.#beyond[slot] = at(this.#beyond, slot) >> 1;
    const bins = this.#bins.subarray(slot * BINS, (slot + 1) * BINS);
    for (const [bin, count] of bins.entries()) bins[bin] = count >> 1;
  }

  #windows(slot: number): Windows {
    const quick = at(this.#quick, slot);
    const beyond = at(this.#beyond, slot);
    const bins = this.#bins.subarray(slot * BINS, (slot + 1) * BINS);
    let within = quick;
    let squares = quick * quick;
    for (let bin = 1; bin < BINS; bin++) {
      const count = at(bins, bin);
      within += count;
      squares += count * count;
    }
    if (within + beyond < MIN_SAMPLES) return { prewarmMs: 0, keepAliveMs: STANDARD_KEEP_ALIVE_MS };
    if (beyond > MAX_BEYOND * (within + beyond)) {
      return { prewarmMs: 0, keepAliveMs: FIXED_KEEP_ALIVE_MS };
    }
    const mean = within / BINS;
    const deviation = Math.sqrt(Math.max(0, squares / BINS - mean * mean));
    if (deviation < MIN_BIN_CV * mean) {
      return { prewarmMs: 0, keepAliveMs: STANDARD_KEEP_ALIVE_MS };
    }
    const head = percentileBin(quick, bins, HEAD * within);
    const tail = percentileBin(quick, bins, TAIL * within);
    return {
      prewarmMs: this.#prewarms ? Math.round(head * BIN_MS * (1 - MARGIN)) : 0,
      keepAliveMs: Math.round((tail + 1) * BIN_MS * (1 + MARGIN)),
    };
  }
}

/** The bin in which the idle time of that rank lies. */
function percentileBin(quick: number, bins: Uint16Array, rank: number): number {
  let seen = quick;
  let bin = 0;
  while (seen < rank && bin < BINS - 1) seen += at(bins, ++bin);
  return bin;
}

/** An element that is there. */
function at(array: Float64Array | Uint16Array, index: number): number {
  return array[index] as number;
}
