import { expect, test } from "vitest";
import { mean, sum } from "../sample.ts";
import { createPopulation, TRIGGER_NAMES, TRIGGERS } from "./population.ts";
import { createRandom, gamma, normalQuantile } from "./random.ts";
import { createTrace, DAY_MS } from "./trace.ts";

const functions = createPopulation(createRandom(7), 2_000);
const rates = functions.map(({ callsPerDay }) => callsPerDay);
const share = (holds: (each: (typeof functions)[number]) => boolean): number =>
  functions.filter(holds).length / functions.length;

test.each(TRIGGER_NAMES)("%s has its share of functions and of calls", (trigger) => {
  const members = functions.filter((each) => each.trigger === trigger);
  expect(members.length / functions.length).toBeCloseTo(TRIGGERS[trigger].functions, 2);
  const calls = sum(members.map(({ callsPerDay }) => callsPerDay));
  expect(calls / sum(rates)).toBeCloseTo(TRIGGERS[trigger].calls, 3);
});

test("rates range over eight orders of magnitude, most functions are rarely called", () => {
  expect(share(({ callsPerDay }) => callsPerDay <= 24)).toBeCloseTo(0.45, 2);
  expect(share(({ callsPerDay }) => callsPerDay <= 24 * 60)).toBeCloseTo(0.81, 2);
  expect(Math.log10(Math.max(...rates) / Math.min(...rates))).toBeGreaterThan(7.5);
  const busiest = rates.toSorted((a, b) => b - a).slice(0, functions.length / 5);
  expect(sum(busiest) / sum(rates)).toBeGreaterThan(0.99);
});

test("timers are constant, some of the others too, and many are bursty", () => {
  expect(functions.every(({ trigger, gapCv }) => trigger !== "timer" || gapCv === 0)).toBe(true);
  expect(share(({ gapCv }) => gapCv === 0)).toBeCloseTo(0.2, 1);
  expect(share(({ gapCv }) => gapCv > 1)).toBeCloseTo(0.4, 1);
});

test("half of the functions run for less than a second", () => {
  expect(Math.abs(share(({ durationMs }) => durationMs < 1_000) - 0.5)).toBeLessThan(0.1);
});

test("the same seed makes the same population", () => {
  expect(createPopulation(createRandom(7), 2_000)).toEqual(functions);
  expect(createPopulation(createRandom(8), 2_000)).not.toEqual(functions);
});

test("a trace has the calls that the rates say, in order", () => {
  const some = createPopulation(createRandom(2), 300);
  const trace = createTrace(createRandom(1), some, 1);
  expect(trace.events.every((event, index) => event >= (trace.events[index - 1] ?? 0))).toBe(true);
  expect((trace.events.at(-1) ?? 0) / some.length).toBeLessThanOrEqual(DAY_MS);
  const calls = new Float64Array(some.length);
  for (const event of trace.events) {
    const index = event % some.length;
    calls[index] = (calls[index] ?? 0) + (trace.callsPerEvent[index] ?? 0);
  }
  const ratios = some.flatMap(({ callsPerDay, gapCv }, index) =>
    callsPerDay > 1e4 && gapCv < 1 ? [(calls[index] ?? 0) / callsPerDay] : [],
  );
  expect(ratios.length).toBeGreaterThan(10);
  expect(ratios.every((ratio) => Math.abs(ratio - 1) < 0.1)).toBe(true);
});

test.each([0.3, 1, 3])("gamma has the mean and the variation %d", (cv) => {
  const random = createRandom(3);
  const drawn = Array.from({ length: 200_000 }, () => gamma(random, 5, cv));
  expect(mean(drawn)).toBeCloseTo(5, 0);
  const deviation = Math.sqrt(mean(drawn.map((value) => (value - 5) ** 2)));
  expect(deviation / 5 / cv).toBeCloseTo(1, 1);
});

test.each([
  [0.5, 0],
  [0.81, 0.8779],
  [0.45, -0.1257],
  [0.001, -3.0902],
])("%d of a normal distribution lie below %d", (p, z) => {
  expect(normalQuantile(p)).toBeCloseTo(z, 4);
});
