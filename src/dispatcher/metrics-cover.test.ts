import { describe, expect, it } from "vitest";
import { coverRange, planSeries } from "./metrics-cover.ts";
import { DAY, HOUR, MINUTE, type Resolution } from "./metrics-schema.ts";
import { createRandom } from "./test/random.ts";

const NOON = 20_000 * DAY + 12 * HOUR;
const rolled = { hourMs: NOON, dayMs: 20_000 * DAY };
const readableUntil = { [MINUTE]: Infinity, [HOUR]: rolled.hourMs, [DAY]: rolled.dayMs };

describe("coverRange", () => {
  it("reads whole rolled-up periods coarsely and the edges finely", () => {
    const since = 19_998 * DAY + 22 * HOUR + 30 * MINUTE;
    expect(coverRange(since, NOON + 5 * MINUTE, DAY, rolled)).toEqual([
      { resolution: MINUTE, fromMs: since, toMs: since + 30 * MINUTE },
      { resolution: HOUR, fromMs: since + 30 * MINUTE, toMs: 19_999 * DAY },
      { resolution: DAY, fromMs: 19_999 * DAY, toMs: 20_000 * DAY },
      { resolution: HOUR, fromMs: 20_000 * DAY, toMs: NOON },
      { resolution: MINUTE, fromMs: NOON, toMs: NOON + 5 * MINUTE },
    ]);
  });

  it("has no gap, no overlap and nothing that is not rolled up, for any range", () => {
    const random = createRandom(7);
    for (let round = 0; round < 500; round += 1) {
      const since = NOON - Math.floor(random() * 5_000) * MINUTE;
      const until = since + Math.floor(random() * 6_000) * MINUTE;
      const coarsest = ([MINUTE, HOUR, DAY] as const)[Math.floor(random() * 3)] as Resolution;
      let at = since;
      for (const { resolution, fromMs, toMs } of coverRange(since, until, coarsest, rolled)) {
        expect(fromMs).toBe(at);
        expect(toMs).toBeGreaterThan(fromMs);
        expect(resolution).toBeLessThanOrEqual(coarsest);
        expect(toMs).toBeLessThanOrEqual(readableUntil[resolution]);
        expect(fromMs % resolution).toBe(0);
        at = toMs;
      }
      expect(at).toBe(Math.max(since, until));
    }
  });
});

describe("planSeries", () => {
  const plan = (agoMs: number, stepSeconds: number | null) =>
    planSeries({ sinceMs: NOON - agoMs, untilMs: NOON, stepSeconds }, NOON);

  it.each([
    ["an hour in minutes", HOUR, 60, MINUTE, 60],
    ["a day in hours, read from hours", DAY, 3_600, HOUR, 3_600],
    ["two days are still there in minutes", 2 * DAY, 60, MINUTE, 60],
    ["three days are there in hours only", 3 * DAY, 60, HOUR, 3_600],
    ["odd steps are rounded up to whole rows", 3 * DAY, 5_000, HOUR, 7_200],
    ["steps below a minute become minutes", HOUR, 1, MINUTE, 60],
    ["a quarter is there in days only", 90 * DAY, 3_600, DAY, 86_400],
  ])("%s", (_name, agoMs, stepSeconds, coarsest, actualSeconds) => {
    const { stepMs, sinceMs, untilMs, coarsest: actual } = plan(agoMs, stepSeconds);
    expect([actual, stepMs]).toEqual([coarsest, actualSeconds * 1000]);
    expect(sinceMs).toBeLessThanOrEqual(NOON - agoMs);
    expect(untilMs).toBeGreaterThanOrEqual(NOON);
    expect(sinceMs % (actualSeconds * 1000)).toBe(0);
    expect(untilMs % (actualSeconds * 1000)).toBe(0);
  });

  it("reads long summaries from hours but keeps their edges to the minute", () => {
    const day = planSeries(
      { sinceMs: NOON - DAY + 90_000, untilMs: NOON, stepSeconds: null },
      NOON,
    );
    expect(day).toEqual({
      sinceMs: NOON - DAY + MINUTE,
      untilMs: NOON,
      stepMs: null,
      coarsest: HOUR,
    });
  });
});
