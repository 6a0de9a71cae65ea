import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { Alarms } from "./alarms.ts";

beforeEach(() => void vi.useFakeTimers({ now: 1_000_000 }));
afterEach(() => void vi.useRealTimers());

function make(due: Record<string, number | undefined>, wake?: (scriptId: string) => Promise<void>) {
  const woken: [string, number][] = [];
  const alarms = new Alarms({
    nextAlarm: (scriptId) => due[scriptId],
    wake: async (scriptId) => {
      woken.push([scriptId, Date.now() - 1_000_000]);
      await wake?.(scriptId);
    },
    log: () => {},
  });
  return { alarms, woken };
}

test("each script is woken when its alarm is due, an overdue one at once", async () => {
  const { alarms, woken } = make({ late: 5, soon: 1_000_500, later: 1_060_000, never: undefined });
  for (const scriptId of ["later", "soon", "late", "never"]) alarms.look(scriptId);
  await vi.advanceTimersByTimeAsync(100_000);
  expect(woken).toEqual([
    ["late", 0],
    ["soon", 500],
    ["later", 60_000],
  ]);
});

test("an alarm months away is not due because a timer cannot hold it", async () => {
  const MONTHS_MS = 2 ** 32;
  const { alarms, woken } = make({ far: 1_000_000 + MONTHS_MS });
  alarms.look("far");
  await vi.advanceTimersByTimeAsync(MONTHS_MS - 1);
  expect(woken).toEqual([]);
  await vi.advanceTimersByTimeAsync(1);
  expect(woken).toEqual([["far", MONTHS_MS]]);
});

test("an alarm that ends its process waits twice as long each time, until one lived", async () => {
  const { alarms, woken } = make({ bomb: 5 });
  alarms.look("bomb");
  for (const pauseMs of [1000, 2000, 4000]) {
    await vi.advanceTimersByTimeAsync(0);
    const before = woken.length;
    alarms.ended("bomb", 100);
    await vi.advanceTimersByTimeAsync(pauseMs - 1);
    expect(woken).toHaveLength(before);
    await vi.advanceTimersByTimeAsync(1);
    expect(woken).toHaveLength(before + 1);
  }
  alarms.ended("bomb", 60_000);
  const before = woken.length;
  await vi.advanceTimersByTimeAsync(1000);
  expect(woken).toHaveLength(before + 1);
});

test("who could not be woken is tried again", async () => {
  let failures = 2;
  const { alarms, woken } = make({ s: 5 }, async () => {
    if (failures-- > 0) throw new Error("the hub is away");
  });
  alarms.look("s");
  await vi.advanceTimersByTimeAsync(60_000);
  expect(woken.map(([, ms]) => ms)).toEqual([0, 1000, 3000]);
});

test("of many that are due at once only some are woken at a time, and in the end all", async () => {
  let most = 0;
  let underWay = 0;
  const scripts = Array.from({ length: 100 }, (_, index) => `s${index}`);
  const { alarms, woken } = make(Object.fromEntries(scripts.map((id) => [id, 5])), async () => {
    most = Math.max(most, ++underWay);
    await new Promise((resolve) => setTimeout(resolve, 100));
    underWay--;
  });
  for (const scriptId of scripts) alarms.look(scriptId);
  await vi.advanceTimersByTimeAsync(60_000);
  expect(most).toBe(8);
  expect(woken.map(([scriptId]) => scriptId).sort()).toEqual(scripts.toSorted());
});
