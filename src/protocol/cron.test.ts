/** The examples that Cloudflare documents, and the corners of its parser. */
import { describe, expect, test } from "vitest";
import { nextTime, parseCron, previousTime } from "./cron.ts";

/** The next times after `from`. */
function times(text: string, from: string, count: number): string[] {
  const cron = parseCron(text);
  const found: string[] = [];
  for (let ms = Date.parse(`${from}Z`); found.length < count;) {
    ms = nextTime(cron, ms) as number;
    found.push(new Date(ms).toISOString().slice(0, 16));
  }
  return found;
}

describe("documented examples", () => {
  test.each([
    ["* * * * *", "2026-01-01T00:00", ["2026-01-01T00:01", "2026-01-01T00:02"]],
    ["*/30 * * * *", "2026-01-01T00:00", ["2026-01-01T00:30", "2026-01-01T01:00"]],
    ["45 * * * *", "2026-01-01T00:45", ["2026-01-01T01:45", "2026-01-01T02:45"]],
    // Sundays.
    ["0 17 * * sun", "2026-01-01T00:00", ["2026-01-04T17:00", "2026-01-11T17:00"]],
    ["0 17 * * 1", "2026-01-01T00:00", ["2026-01-04T17:00", "2026-01-11T17:00"]],
    // 2026-01-02 is a Friday.
    ["10 7 * * mon-fri", "2026-01-01T08:00", ["2026-01-02T07:10", "2026-01-05T07:10"]],
    ["10 7 * * 2-6", "2026-01-01T08:00", ["2026-01-02T07:10", "2026-01-05T07:10"]],
    ["0 15 1 * *", "2026-01-01T15:00", ["2026-02-01T15:00", "2026-03-01T15:00"]],
    ["0 18 * * 6L", "2026-01-01T00:00", ["2026-01-30T18:00", "2026-02-27T18:00"]],
    ["0 18 * * friL", "2026-01-01T00:00", ["2026-01-30T18:00", "2026-02-27T18:00"]],
    // 2026-01-31 is a Saturday, 2026-02-28 too, 2026-05-31 a Sunday.
    ["59 23 LW * *", "2026-01-01T00:00", ["2026-01-30T23:59", "2026-02-27T23:59"]],
    ["59 23 LW * *", "2026-05-01T00:00", ["2026-05-29T23:59", "2026-06-30T23:59"]],
  ])("%s", (text, from, expected) => {
    expect(times(text, from, 2)).toEqual(expected);
  });
});

describe("days", () => {
  test.each([
    ["0 0 L * *", "2024-02-01T00:00", ["2024-02-29T00:00", "2024-03-31T00:00"]],
    ["0 0 L-3 * *", "2026-02-01T00:00", ["2026-02-25T00:00", "2026-03-28T00:00"]],
    // 2026-08-01 is a Saturday: the 3rd; 2026-08-15 too: the 14th; 2026-11-15 is a Sunday: the 16th.
    ["0 0 1W * *", "2026-07-31T00:00", ["2026-08-03T00:00", "2026-09-01T00:00"]],
    ["0 0 15W 8,11 *", "2026-01-01T00:00", ["2026-08-14T00:00", "2026-11-16T00:00"]],
    ["0 0 31W * *", "2026-05-01T00:00", ["2026-05-29T00:00", "2026-07-31T00:00"]],
    ["0 0 L-1W * *", "2026-05-01T00:00", ["2026-05-29T00:00", "2026-06-29T00:00"]],
    ["0 0 * * tue#2", "2026-01-01T00:00", ["2026-01-13T00:00", "2026-02-10T00:00"]],
    ["0 0 * * 5#5", "2026-01-01T00:00", ["2026-01-29T00:00", "2026-04-30T00:00"]],
    ["0 0 * * L", "2026-01-01T00:00", ["2026-01-03T00:00", "2026-01-10T00:00"]],
    // Either of them.
    ["0 0 13 * fri", "2026-01-10T00:00", ["2026-01-13T00:00", "2026-01-16T00:00"]],
    // Over the end of the week.
    ["0 0 * * fri-mon", "2026-01-04T00:00", ["2026-01-05T00:00", "2026-01-09T00:00"]],
    ["0 0 29 feb *", "2026-01-01T00:00", ["2028-02-29T00:00", "2032-02-29T00:00"]],
  ])("%s", (text, from, expected) => {
    expect(times(text, from, 2)).toEqual(expected);
  });
});

test("lists, ranges over the end, and steps", () => {
  const minutes = (text: string) => [...parseCron(`${text} * * * *`).minutes].sort((a, b) => a - b);
  expect(minutes("5,15")).toEqual([5, 15]);
  expect(minutes("50/3")).toEqual([50, 53, 56, 59]);
  expect(minutes("58-1")).toEqual([0, 1, 58, 59]);
  expect(minutes("0-10/5,30")).toEqual([0, 5, 10, 30]);
  expect(minutes("*/25,*/30")).toEqual([0, 25, 30, 50]);
  expect([...parseCron("* 22-2/2 * Jan-MAR *").hours]).toEqual([22, 0, 2]);
  expect([...parseCron("* * * nov-feb *").months]).toEqual([11, 12, 1, 2]);
});

test.each([
  ["", "it has 0 fields and takes 5"],
  ["* * * *", "it has 4 fields and takes 5"],
  ["* * * * * *", "it has 6 fields"],
  ["60 * * * *", "its minute is '60' and must be 0-59"],
  ["* 24 * * *", "its hour is '24'"],
  ["* * 0 * *", "its day of the month is '0' and must be 1-31"],
  ["* * * 13 *", "its month is '13' and must be 1-12 or JAN-DEC"],
  ["* * * * 0", "its day of the week is '0' and must be 1-7 or SUN-SAT (1 is Sunday)"],
  ["* * * * 8", "its day of the week is '8'"],
  ["* * * * fri#6", "its number after # is '6'"],
  ["*/0 * * * *", "its step is '0'"],
  ["*,5 * * * *", "cannot be read"],
  ["5-*/2 * * * *", "cannot be read"],
  ["? * * * *", "cannot be read"],
  ["-5 * * * *", "cannot be read"],
  ["0 0 1,LW * *", "its day of the month is 'LW'"],
  ["0 0 31 feb *", "no day ever matches it"],
  ["@daily", "it has 1 fields"],
])("%s is refused", (text, why) => {
  expect(() => parseCron(text)).toThrow(why);
});

test("the last time at or before another", () => {
  const before = (text: string, at: string) =>
    new Date(previousTime(parseCron(text), Date.parse(`${at}Z`)) as number)
      .toISOString()
      .slice(0, 16);
  expect(before("*/5 * * * *", "2026-01-01T00:05")).toBe("2026-01-01T00:05");
  expect(before("*/5 * * * *", "2026-01-01T00:04:59")).toBe("2026-01-01T00:00");
  expect(before("0 15 1 * *", "2026-03-01T14:59")).toBe("2026-02-01T15:00");
  expect(before("59 23 L 2 *", "2026-01-01T00:00")).toBe("2025-02-28T23:59");
});
