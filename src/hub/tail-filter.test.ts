import { describe, expect, test } from "vitest";
import type { TraceEvent } from "../protocol/trace.ts";
import { passes, textOf, type TailFilter } from "./tail-filter.ts";

const EVENT: TraceEvent = {
  outcome: "ok",
  scriptName: "shop",
  scriptVersion: { id: "v1" },
  scriptTags: [],
  logs: [{ message: ["paid", { amount: 3 }, 7], level: "log", timestamp: 1 }],
  exceptions: [],
  diagnosticsChannelEvents: [],
  eventTimestamp: 1,
  wallTime: 1,
  cpuTime: 0,
  truncated: false,
  executionModel: "stateless",
  event: {
    request: {
      url: "http://shop/",
      method: "GET",
      headers: { "cf-connecting-ip": "192.0.2.7", "x-kind": "a test" },
    },
  },
};
const CRON: TraceEvent = { ...EVENT, event: { cron: "* * * * *", scheduledTime: 1 } };

describe("a filter", () => {
  test.each<[string, TailFilter, boolean, TraceEvent?]>([
    ["none", {}, true],
    ["outcome", { outcome: ["exception", "ok"] }, true],
    ["another outcome", { outcome: ["exception"] }, false],
    ["method", { method: ["post", "get"] }, true],
    ["another method", { method: ["POST"] }, false],
    ["method, of no request", { method: ["GET"] }, false, CRON],
    ["header", { header: { key: "X-Kind" } }, true],
    ["header with its value", { header: { key: "x-kind", query: "test" } }, true],
    ["header with another value", { header: { key: "x-kind", query: "rest" } }, false],
    ["absent header", { header: { key: "x-other" } }, false],
    ["header, of no request", { header: { key: "x-kind" } }, false, CRON],
    ["address", { client_ip: ["192.0.2.1", "192.0.2.7"] }, true],
    ["another address", { client_ip: ["192.0.2.1"] }, false],
    ["words", { query: 'paid {"amount":3} 7' }, true],
    ["other words", { query: "unpaid" }, false],
    ["version", { scriptVersion: "v1" }, true],
    ["another version", { scriptVersion: "v2" }, false],
    [
      "wall time as an error of wrangler",
      { outcome: ["exceededCpu"] },
      true,
      {
        ...EVENT,
        outcome: "exceededWallTime",
      },
    ],
    ["wall time as none", { outcome: ["ok"] }, false, { ...EVENT, outcome: "exceededWallTime" }],
  ])("%s", (_, filter, expected, event = EVENT) => {
    expect(passes(event, [filter])).toBe(expected);
  });

  test("lets a share through", () => {
    expect(passes(EVENT, [{ sampling_rate: 0.5 }], () => 0.49)).toBe(true);
    expect(passes(EVENT, [{ sampling_rate: 0.5 }], () => 0.5)).toBe(false);
  });

  test("holds together with the others", () => {
    expect(passes(EVENT, [{ method: ["GET"] }, { query: "unpaid" }])).toBe(false);
  });
});

test("what was written reads as on a console", () => {
  expect(textOf(["a", 1, null, undefined])).toBe("a 1 null undefined");
  expect(textOf("alone")).toBe("alone");
});
