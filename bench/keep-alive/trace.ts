/**
 * When the functions of a population are called, in order of time. Calls that follow each other within seconds
 * are one event of several calls: no policy parts them, and most calls are of that kind.
 */
import type { SimulatedFunction } from "./population.ts";
import { gamma, type Random } from "./random.ts";

export const DAY_MS = 86_400_000;

/** Events of one function are on average at least so far apart. */
const EVENT_MS = 20_000;

export interface Trace {
  readonly functions: readonly SimulatedFunction[];
  readonly durationMs: number;
  /** Each is `timeMs * functions.length + index of the function`; ascending. */
  readonly events: Float64Array;
  /** Of each function: how many calls one of its events stands for. */
  readonly callsPerEvent: Uint32Array;
}

export function createTrace(
  random: Random,
  functions: readonly SimulatedFunction[],
  days: number,
): Trace {
  const durationMs = days * DAY_MS;
  const callsPerEvent = new Uint32Array(functions.length);
  const events: number[] = [];
  for (const [index, { callsPerDay, gapCv }] of functions.entries()) {
    const gapMs = DAY_MS / callsPerDay;
    const calls = Math.max(1, Math.round(EVENT_MS / gapMs));
    callsPerEvent[index] = calls;
    // The sum of so many independent gaps has this mean and this coefficient of variation.
    const [mean, cv] = [gapMs * calls, gapCv / Math.sqrt(calls)];
    const next = () => (cv === 0 ? mean : gamma(random, mean, cv));
    for (let timeMs = random() * next(); timeMs < durationMs; timeMs += next()) {
      events.push(Math.floor(timeMs) * functions.length + index);
    }
  }
  return { functions, durationMs, events: Float64Array.from(events).sort(), callsPerEvent };
}
