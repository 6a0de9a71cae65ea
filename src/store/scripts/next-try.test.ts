import { expect, test } from "vitest";
import type { EventResult } from "../../protocol/events.ts";
import { DEFAULT_INVOCATION_SETTINGS } from "../../protocol/invocations.ts";
import type { InvocationRow } from "./invocation-rows.ts";
import { nextTry } from "./next-try.ts";

const NOW = 1_000_000;
const settings = { ...DEFAULT_INVOCATION_SETTINGS, retryDelaySeconds: 10, maxAgeSeconds: 3_600 };

function next(result: EventResult, row: Partial<InvocationRow> = {}) {
  const usual = { type: "Event", attempts: 0, waits: 0, created_ms: NOW };
  return nextTry({ ...usual, ...row } as InvocationRow, settings, result, NOW);
}

const answered = (status: number): EventResult => {
  const response = { status, headers: [], body: "", isTruncated: false };
  return { ran: true, outcome: "ok", response };
};
const unavailable: EventResult = { ran: false, reason: "unavailable", message: "away" };

test.each([200, 302, 404, 429])("a response of %d is a success", (status) => {
  expect(next(answered(status))).toMatchObject({
    state: "succeeded",
    attempts: 1,
    outcome: "ok",
    nextMs: null,
  });
});

test("a response from 500 on is tried again, later and later, and not more often than it may be", () => {
  const failed = { state: "waiting", error: "the function answered with 503" };
  expect(next(answered(503))).toMatchObject({ ...failed, attempts: 1, nextMs: NOW + 10_000 });
  const second = next(answered(503), { attempts: 1 });
  expect(second).toMatchObject({ ...failed, attempts: 2, nextMs: NOW + 20_000 });
  const third = next(answered(503), { attempts: 2 });
  expect(third).toMatchObject({ state: "failed", attempts: 3, nextMs: null });
});

test("what did not run is offered again, and that is no try", () => {
  expect(next(unavailable, { attempts: 2, waits: 3 })).toMatchObject({
    state: "waiting",
    attempts: 2,
    waits: 4,
    outcome: null,
    error: "away",
    nextMs: NOW + 16_000,
  });
  const later = { ...unavailable, retryAfterSeconds: 90 } as EventResult;
  expect(next(later).nextMs).toBe(NOW + 90_000);
  expect(next(unavailable, { waits: 50 }).nextMs).toBe(NOW + 60_000);
});

test("what was lost with its process counts as a try", () => {
  const lost = { ...unavailable, mayHaveRun: true } as EventResult;
  expect(next(lost)).toMatchObject({ state: "waiting", attempts: 1, outcome: "unknown" });
  expect(next(lost, { attempts: 2 })).toMatchObject({ state: "failed", attempts: 3 });
});

test("one that would be too old at the next try is given up", () => {
  const old = { created_ms: NOW - 3_599_000 };
  expect(next(unavailable, { ...old, waits: 3 })).toMatchObject({
    state: "failed",
    error: "it would be older than 3600 seconds at the next try; away",
  });
  expect(next(answered(200), old)).toMatchObject({ state: "succeeded" });
});

test("one whose caller waits is tried once", () => {
  expect(next(unavailable, { type: "RequestResponse" })).toMatchObject({ state: "failed" });
  expect(next(answered(500), { type: "RequestResponse" })).toMatchObject({ state: "failed" });
});
