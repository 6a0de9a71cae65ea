/**
 * Replays a trace against a keep-alive policy, as an edge applies one: it loads an isolate at a call that finds
 * none, looks at intervals which may end or are to be loaded in advance, and ends the least recently used when
 * the budget has no room.
 */
import type { KeepAlive } from "../../src/cell/keep-alive.ts";
import type { Trace } from "./trace.ts";

/** How often an isolate's time is looked at. */
const SWEEP_MS = 10_000;

/** A policy is told of so many calls of an event, which is enough for its 99th percentile. */
const MAX_TOLD_CALLS = 100;

export interface ReplayResult {
  readonly calls: number;
  /** Calls that had to load their isolate. */
  readonly coldCalls: number;
  /** Isolates loaded in expectation of a call. */
  readonly prewarms: number;
  /** Of each function that was called: the share of its calls that were cold. */
  readonly coldShares: readonly number[];
  /** How long isolates were loaded in sum, and how long of that nothing ran in them. */
  readonly loadedMs: number;
  readonly wastedMs: number;
  readonly peakLoaded: number;
}

export function replay(trace: Trace, policy: KeepAlive, budget: number): ReplayResult {
  return new Replay(trace, policy, budget).run();
}

class Replay {
  readonly #trace: Trace;
  readonly #policy: KeepAlive;
  readonly #budget: number;
  readonly #names: readonly string[];
  readonly #lastCallMs: Float64Array;
  readonly #calls: Float64Array;
  readonly #cold: Float64Array;
  /** Since when each loaded function is loaded. */
  readonly #loadedAtMs = new Map<number, number>();
  /** What is to be looked at in each sweep; it holds if the sweep is the function's next one. */
  readonly #sweeps: (number[] | undefined)[] = [];
  readonly #nextSweepOf: Float64Array;
  #nextSweep = 0;
  #prewarms = 0;
  #loadedMs = 0;
  #busyMs = 0;
  #peakLoaded = 0;

  constructor(trace: Trace, policy: KeepAlive, budget: number) {
    const count = trace.functions.length;
    this.#trace = trace;
    this.#policy = policy;
    this.#budget = budget;
    this.#names = trace.functions.map((_, index) => `function ${index}`);
    this.#lastCallMs = new Float64Array(count).fill(-Infinity);
    this.#calls = new Float64Array(count);
    this.#cold = new Float64Array(count);
    this.#nextSweepOf = new Float64Array(count).fill(Infinity);
  }

  run(): ReplayResult {
    const { events, functions, durationMs } = this.#trace;
    for (const event of events) {
      const timeMs = Math.floor(event / functions.length);
      this.#sweepUntil(timeMs);
      this.#call(event % functions.length, timeMs);
    }
    this.#sweepUntil(durationMs);
    for (const index of this.#loadedAtMs.keys()) this.#unload(index, durationMs);
    const coldShares = functions.flatMap((_, index) => {
      const calls = at(this.#calls, index);
      return calls > 0 ? [at(this.#cold, index) / calls] : [];
    });
    return {
      calls: sum(this.#calls),
      coldCalls: sum(this.#cold),
      prewarms: this.#prewarms,
      coldShares,
      loadedMs: this.#loadedMs,
      wastedMs: this.#loadedMs - this.#busyMs,
      peakLoaded: this.#peakLoaded,
    };
  }

  #call(index: number, timeMs: number): void {
    if (!this.#loadedAtMs.has(index)) {
      this.#cold[index] = at(this.#cold, index) + 1;
      this.#load(index, timeMs);
    }
    const calls = at(this.#trace.callsPerEvent, index);
    this.#calls[index] = at(this.#calls, index) + calls;
    this.#countBusy(index, timeMs);
    this.#lastCallMs[index] = timeMs;
    const name = this.#name(index);
    for (let told = Math.min(calls, MAX_TOLD_CALLS); told > 0; told--) {
      this.#policy.called(name, timeMs);
    }
    this.#lookAgain(index, timeMs + this.#policy.keepAliveMs(name, timeMs));
  }

  /** What the latest event kept its isolate busy: its calls, as far as they do not overlap. */
  #countBusy(index: number, untilMs: number): void {
    const { functions, callsPerEvent } = this.#trace;
    const ranMs = (functions[index]?.durationMs ?? 0) * at(callsPerEvent, index);
    const lastCallMs = at(this.#lastCallMs, index);
    if (lastCallMs >= 0) this.#busyMs += Math.min(ranMs, untilMs - lastCallMs);
  }

  #sweepUntil(timeMs: number): void {
    for (; this.#nextSweep * SWEEP_MS <= timeMs; this.#nextSweep++) {
      const due = this.#sweeps[this.#nextSweep];
      if (due === undefined) continue;
      this.#sweeps[this.#nextSweep] = undefined;
      for (const index of due) {
        if (at(this.#nextSweepOf, index) === this.#nextSweep) {
          this.#look(index, this.#nextSweep * SWEEP_MS);
        }
      }
    }
  }

  /** Ends the function's isolate if it is idle for too long, loads it if its next call is near. */
  #look(index: number, nowMs: number): void {
    this.#nextSweepOf[index] = Infinity;
    const name = this.#name(index);
    if (this.#loadedAtMs.has(index)) {
      const endsAtMs = at(this.#lastCallMs, index) + this.#policy.keepAliveMs(name, nowMs);
      if (nowMs < endsAtMs) {
        this.#lookAgain(index, endsAtMs);
        return;
      }
      this.#unload(index, nowMs);
    }
    const prewarmAtMs = this.#policy.prewarmAtMs?.(name, nowMs) ?? null;
    if (prewarmAtMs === null) return;
    if (prewarmAtMs > nowMs) {
      this.#lookAgain(index, prewarmAtMs);
      return;
    }
    this.#prewarms++;
    this.#load(index, nowMs);
    this.#lookAgain(index, at(this.#lastCallMs, index) + this.#policy.keepAliveMs(name, nowMs));
  }

  #lookAgain(index: number, timeMs: number): void {
    if (timeMs >= this.#trace.durationMs) return;
    const sweep = Math.max(this.#nextSweep + 1, Math.ceil(timeMs / SWEEP_MS));
    if (at(this.#nextSweepOf, index) <= sweep) return;
    this.#nextSweepOf[index] = sweep;
    (this.#sweeps[sweep] ??= []).push(index);
  }

  #load(index: number, nowMs: number): void {
    if (this.#loadedAtMs.size >= this.#budget) this.#unload(this.#leastRecentlyUsed(), nowMs);
    this.#loadedAtMs.set(index, nowMs);
    this.#peakLoaded = Math.max(this.#peakLoaded, this.#loadedAtMs.size);
  }

  #unload(index: number, nowMs: number): void {
    this.#loadedMs += nowMs - (this.#loadedAtMs.get(index) ?? nowMs);
    this.#loadedAtMs.delete(index);
  }

  #leastRecentlyUsed(): number {
    let [least, lastCallMs] = [-1, Infinity];
    for (const index of this.#loadedAtMs.keys()) {
      if (at(this.#lastCallMs, index) >= lastCallMs) continue;
      [least, lastCallMs] = [index, at(this.#lastCallMs, index)];
    }
    return least;
  }

  #name(index: number): string {
    return this.#names[index] as string;
  }
}

function sum(values: Float64Array): number {
  return values.reduce((total, value) => total + value, 0);
}

/** An element that is there. */
function at(array: Float64Array | Uint32Array, index: number): number {
  return array[index] as number;
}
