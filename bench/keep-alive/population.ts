/**
 * A population of functions that are called as those of Azure Functions were in July 2019, after M. Shahrad et
 * al., "Serverless in the Wild: Characterizing and Optimizing the Serverless Workload at a Large Cloud Provider",
 * USENIX ATC 2020, section 3:
 * - triggers by share of functions and of calls: table below (their figure 2);
 * - rates over eight orders of magnitude; 45% of the applications are called once an hour or less, 81% once a
 *   minute or less (figure 5), here of the functions: log-normal through these two points;
 * - inter-arrival times (figure 6): of timers constant; over all some 20% constant (coefficient of variation 0),
 *   some 40% more variable than at random (above 1), the rest between;
 * - average execution times (figure 7): log-normal, half of them below a second.
 */
import { normal, normalQuantile, type Random } from "./random.ts";

export const TRIGGERS = {
  http: { functions: 0.55, calls: 0.359 },
  timer: { functions: 0.156, calls: 0.02 },
  queue: { functions: 0.152, calls: 0.335 },
  orchestration: { functions: 0.069, calls: 0.023 },
  storage: { functions: 0.028, calls: 0.007 },
  event: { functions: 0.022, calls: 0.247 },
  others: { functions: 0.022, calls: 0.01 },
} as const;
export type Trigger = keyof typeof TRIGGERS;
export const TRIGGER_NAMES = Object.keys(TRIGGERS) as readonly Trigger[];

export interface SimulatedFunction {
  readonly trigger: Trigger;
  readonly callsPerDay: number;
  /** Coefficient of variation of the times between calls; 0: constant. */
  readonly gapCv: number;
  readonly durationMs: number;
}

const HOURLY = 24;
const MINUTELY = 24 * 60;
const SPREAD =
  (Math.log(MINUTELY) - Math.log(HOURLY)) / (normalQuantile(0.81) - normalQuantile(0.45));
const MEDIAN = Math.exp(Math.log(HOURLY) - SPREAD * normalQuantile(0.45));

/** Rarer ones were not seen in the two weeks of the paper. */
const RAREST_CALLS_PER_DAY = 1 / 14;
/** With so many calls the rates range over eight orders of magnitude. */
const MEAN_CALLS_PER_DAY = 20_000;

/** Of the functions without a timer: with those it makes 20% constant and 40% bursty ones. */
const CONSTANT = (0.2 - TRIGGERS.timer.functions) / (1 - TRIGGERS.timer.functions);
const BURSTY = 0.4 / (1 - TRIGGERS.timer.functions);
const LEAST_CV = 0.25;
const MOST_CV = 10;

/** Parameters of the log-normal of average execution times in seconds, as the paper fitted it. */
const DURATION = { mu: -0.38, sigma: 2.36 };

export function createPopulation(random: Random, count: number): SimulatedFunction[] {
  return TRIGGER_NAMES.flatMap((trigger) => {
    const { functions, calls } = TRIGGERS[trigger];
    const members = Math.round(count * functions);
    const drawn = Array.from(
      { length: members },
      // One from each of equal parts of the distribution, so that small populations have its shape too.
      (_, index) => drawRate((index + random()) / members),
    );
    return withTotal(drawn, count * MEAN_CALLS_PER_DAY * calls).map((callsPerDay) => ({
      trigger,
      callsPerDay,
      gapCv: trigger === "timer" ? 0 : drawGapCv(random),
      durationMs: 1_000 * Math.exp(DURATION.mu + DURATION.sigma * normal(random)),
    }));
  });
}

function drawRate(quantile: number): number {
  return Math.max(RAREST_CALLS_PER_DAY, MEDIAN * Math.exp(SPREAD * normalQuantile(quantile)));
}

/**
 * Bends the rates above once a minute, which make up nearly all calls, so that they come to `total`: each
 * becomes its distance to that limit to a power, so none crosses it and the distribution below stays.
 */
function withTotal(rates: readonly number[], total: number): number[] {
  const bent = (power: number) =>
    rates.map((rate) => (rate > MINUTELY ? MINUTELY * (rate / MINUTELY) ** power : rate));
  let [low, high] = [0, 4];
  for (let step = 0; step < 60; step++) {
    const power = (low + high) / 2;
    if (bent(power).reduce((sum, rate) => sum + rate, 0) < total) low = power;
    else high = power;
  }
  return bent(high);
}

function drawGapCv(random: Random): number {
  const kind = random();
  if (kind < CONSTANT) return 0;
  if (kind < CONSTANT + BURSTY) return MOST_CV ** (1 - random());
  return LEAST_CV + (1 - LEAST_CV) * random();
}
