// Policies on traces made by hand, and compared on a generated one.
import { expect, test } from "vitest";
import { HybridKeepAlive } from "../../src/cell/keep-alive-hybrid.ts";
import { FixedKeepAlive, LruKeepAlive } from "../../src/cell/keep-alive.ts";
import { quantile } from "../sample.ts";
import { createPopulation, type SimulatedFunction } from "./population.ts";
import { createRandom } from "./random.ts";
import { replay } from "./replay.ts";
import { createTrace, type Trace } from "./trace.ts";

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;

/** Of each function the minutes in which it is called; each call takes a second. */
function traceOf(durationMs: number, ...callMinutes: readonly (readonly number[])[]): Trace {
  const functions = callMinutes.map((): SimulatedFunction => ({
    trigger: "http",
    callsPerDay: 0,
    gapCv: 0,
    durationMs: 1_000,
  }));
  const events = callMinutes.flatMap((minutes, index) =>
    minutes.map((minute) => Math.round(minute * MINUTE) * functions.length + index),
  );
  return {
    functions,
    durationMs,
    events: Float64Array.from(events).sort(),
    callsPerEvent: new Uint32Array(functions.length).fill(1),
  };
}

const every = (minutes: number, count: number) =>
  Array.from({ length: count }, (_, index) => index * minutes);

test("a fixed time makes calls warm that come within it", () => {
  const trace = traceOf(HOUR, [0, 9, 18, 29, 38]);
  const result = replay(trace, new FixedKeepAlive(), 10);
  expect(result).toMatchObject({ calls: 5, coldCalls: 2, prewarms: 0, peakLoaded: 1 });
  // From 0 to 28 and from 29 to 48, and four times a second in which it ran.
  expect(result.loadedMs).toBe(47 * MINUTE);
  expect(result.wastedMs).toBe(47 * MINUTE - 4 * 1_000);
});

test("without a time only the budget ends isolates, the least recently used first", () => {
  const trace = traceOf(HOUR, [0, 3], [1, 6], [2, 7]);
  expect(replay(trace, new LruKeepAlive(), 3)).toMatchObject({
    coldCalls: 3,
    peakLoaded: 3,
    loadedMs: (60 + 59 + 58) * MINUTE,
  });
  // At 2 the first one has to go, at 3 the second, at 6 the third, at 7 the first.
  expect(replay(trace, new LruKeepAlive(), 2)).toMatchObject({
    coldCalls: 6,
    coldShares: [1, 1, 1],
    peakLoaded: 2,
  });
});

test("the hybrid policy loads a steady function just before it is called", () => {
  const trace = traceOf(24 * HOUR, every(30, 48));
  const fixed = replay(trace, new FixedKeepAlive(), 10);
  expect(fixed.coldCalls).toBe(48);
  const hybrid = replay(trace, new HybridKeepAlive({ prewarms: true }), 10);
  expect(hybrid.coldCalls).toBe(1);
  // Once it knows the rhythm, at the sixth call; the last one is for a call that does not come.
  expect(hybrid.prewarms).toBe(43);
  // 5 times the whole gap; then, each time, the minute after the call and 10% before the next.
  expect(hybrid.loadedMs / MINUTE).toBeCloseTo(5 * 30 + 42 * (1 + 3), -1);
  expect(hybrid.loadedMs).toBeLessThan(0.7 * fixed.loadedMs);
});

test("the hybrid policy gives up after a call that did not come", () => {
  const trace = traceOf(48 * HOUR, every(30, 20));
  const { loadedMs } = replay(trace, new HybridKeepAlive({ prewarms: true }), 10);
  // Until 31 minutes and 10% after the last call.
  expect(loadedMs / MINUTE).toBeLessThan(5 * 30 + 15 * (1 + 3) + 10);
});

test("the hybrid policy spares most functions cold calls for the memory of a fixed hour", () => {
  const random = createRandom(5);
  const trace = createTrace(random, createPopulation(random, 300), 1);
  const hour = replay(trace, new FixedKeepAlive(HOUR), Infinity);
  const hybrid = replay(trace, new HybridKeepAlive({ prewarms: true }), Infinity);
  expect(hybrid.wastedMs / hour.wastedMs).toBeLessThan(1.1);
  expect(quantile(hybrid.coldShares, 0.75)).toBeLessThan(0.6 * quantile(hour.coldShares, 0.75));
});
