import { describe, expect, it } from "vitest";
import { MAX_POINTS, parseRange } from "./metrics-range.ts";

const NOW = Date.parse("2026-11-23T12:00:00Z");
const HOUR = 3_600_000;

function parse(query: Record<string, string>, points = true) {
  return parseRange(query, NOW, points);
}

describe("accepted", () => {
  it.each([
    ["nothing: the last hour in minutes", {}, NOW - HOUR, NOW, 60],
    ["a time ago", { since: "7d" }, NOW - 168 * HOUR, NOW, 10_800],
    ["two times ago", { since: "2h", until: "30m" }, NOW - 2 * HOUR, NOW - HOUR / 2, 120],
    ["ISO 8601", { since: "2026-11-23T11:59:00Z" }, NOW - 60_000, NOW, 60],
    ["a date", { since: "2026-11-23" }, NOW - 12 * HOUR, NOW, 900],
    ["Unix seconds", { since: `${NOW / 1000 - 90}` }, NOW - 90_000, NOW, 60],
    ["a step in seconds", { step: "300" }, NOW - HOUR, NOW, 300],
    ["a step with a unit", { since: "30d", step: "1d" }, NOW - 720 * HOUR, NOW, 86_400],
    ["more than a year", { since: "400d" }, NOW - 9_600 * HOUR, NOW, 604_800],
  ])("%s", (_name, query, sinceMs, untilMs, stepSeconds) => {
    expect(parse(query as Record<string, string>)).toEqual({
      ok: true,
      value: { sinceMs, untilMs, stepSeconds },
    });
  });

  it("has no step where there are no points", () => {
    expect(parse({ since: "1d" }, false)).toMatchObject({ value: { stepSeconds: null } });
  });
});

describe("refused, naming the value and the remedy", () => {
  it.each([
    [{ since: "yesterday" }, "since is 'yesterday', expected an ISO 8601 time"],
    [{ since: "5" }, "since is '5', expected"],
    [{ since: "-1h" }, "since is '-1h', expected"],
    [{ until: "2026-13-45" }, "until is '2026-13-45', expected"],
    [{ since: "1h", until: "1h" }, "is not before until"],
    [{ since: "1m", until: "1h" }, "ask for a longer range"],
    [{ step: "0" }, "step is '0', expected seconds or a duration"],
    [{ step: "fast" }, "step is 'fast', expected seconds or a duration"],
    [{ since: "2d", step: "60s" }, `more than ${MAX_POINTS} points: use 116 s or more`],
  ])("%o", (query, message) => {
    const result = parse(query as Record<string, string>);
    expect(result.ok).toBe(false);
    expect(result).toMatchObject({ message: expect.stringContaining(message) });
  });

  it("step where there are no points", () => {
    expect(parse({ step: "60" }, false)).toMatchObject({
      message: "step is not supported here: this answer has one summary per function",
    });
  });
});
