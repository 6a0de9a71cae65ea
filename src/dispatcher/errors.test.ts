import { describe, expect, test } from "vitest";
import {
  LIMIT_REASONS,
  LimitError,
  remoteError,
  UnavailableError,
  workerNotFound,
} from "../protocol/dispatch-errors.ts";
import { platformError, reasonOf } from "./errors.ts";

const request = { headers: new Headers({ "cf-ray": "8f1b" }) };

describe("reasonOf", () => {
  test.each<[string, unknown, string]>([
    ["a missing script", workerNotFound("prod", "a"), "notFound"],
    ["a lost cell", new UnavailableError("gone"), "unavailable"],
    ["a bug", new TypeError("x is not a function"), "exception"],
    ["Cloudflare's CPU limit", new Error("Worker exceeded CPU time limit."), "exceededCpu"],
    ["Cloudflare's memory limit", new Error("Worker exceeded memory limit."), "exceededMemory"],
    ["Cloudflare's limits", new Error("Worker exceeded resource limits."), "exceededCpu"],
    ["a function's exception", remoteError("Error", "no honey", undefined), "exception"],
  ])("%s", (_, error, reason) => {
    expect(reasonOf(error)).toBe(reason);
  });

  test.each(LIMIT_REASONS)("the limit %s", (limit) => {
    expect(reasonOf(new LimitError(limit, "too much"))).toBe(limit);
  });

  test.each([
    remoteError("Error", "Worker exceeded CPU time limit.", undefined),
    remoteError("Error", "Worker not found", undefined),
    Object.assign(new Error("mine"), { name: "LimitError", limit: "loop", remote: true }),
    Object.assign(new Error("mine"), { retryable: true, remote: true }),
  ])("a function cannot pass for the platform (%s)", (error) => {
    expect(reasonOf(error)).toBe("exception");
  });
});

describe("platformError", () => {
  test.each([
    ["exceededCpu", 503, "1102"],
    ["exceededMemory", 503, "1102"],
    ["backOff", 503, "1102"],
    ["exceededWallTime", 504, "524"],
    ["rateLimited", 429, "1015"],
    ["tooManyConcurrent", 429, "1015"],
    ["loop", 508, "1019"],
    ["requestTooLarge", 413, "413"],
    ["responseTooLarge", 502, "502"],
    ["exception", 500, "1101"],
    ["unavailable", 503, "1105"],
    ["notFound", 404, "1016"],
  ] as const)("%s is %i with x-skep-error %s", (reason, status, code) => {
    const response = platformError(reason, request);
    expect([response.status, response.headers.get("x-skep-error")]).toEqual([status, code]);
  });

  test("tells which limit, and when to come back", async () => {
    const limit = new LimitError("backOff", "Worker exceeded resource limits repeatedly; wait", 8);
    const response = platformError("backOff", request, limit);
    expect(response.headers.get("retry-after")).toBe("8");
    expect(await response.json()).toEqual({
      error: { code: 1102, message: limit.message, ray: "8f1b" },
    });
  });

  test("a browser gets a page in which nothing comes from outside", async () => {
    const headers = new Headers({ accept: "text/html", "cf-ray": "<b>" });
    const limit = new LimitError("loop", 'function "<script>"');
    const text = await platformError("loop", { headers }, limit).text();
    expect(text).toContain("Error 1019");
    expect(text).not.toMatch(/<script>|<b>/);
  });
});
