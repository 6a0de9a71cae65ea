import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import type { Incident } from "../protocol/incident.ts";
import { IncidentLog } from "./incident-log.ts";

const VERSION = "8c3a1a3e-0000-4000-8000-000000000001";

beforeEach(() => vi.useFakeTimers({ now: 1_000_000 }));
afterEach(() => vi.useRealTimers());

function incident(more: Partial<Incident>): Incident {
  return {
    kind: "cpu",
    atMs: Date.now(),
    process: "cell",
    index: 0,
    life: 10,
    killed: true,
    named: VERSION,
    certain: false,
    involved: [VERSION],
    detail: "",
    ...more,
  };
}

describe("incidents", () => {
  test("one that was told before is known at once", async () => {
    const log = new IncidentLog();
    const told = incident({});
    log.accept(told);
    expect(await log.of({ process: "cell", index: 0, life: 10 }, 0)).toBe(told);
  });

  test("one that is told within half a second is waited for", async () => {
    const log = new IncidentLog();
    const waiting = log.of({ process: "cell", index: 0, life: 10 }, Date.now());
    await vi.advanceTimersByTimeAsync(499);
    const told = incident({});
    log.accept(told);
    expect(await waiting).toBe(told);
  });

  test("after that there was none", async () => {
    const log = new IncidentLog();
    const waiting = log.of({ process: "cell", index: 0, life: 10 }, Date.now());
    await vi.advanceTimersByTimeAsync(500);
    expect(await waiting).toBeUndefined();
    expect(vi.getTimerCount()).toBe(0);
  });

  test.each<[string, Partial<Incident>]>([
    ["another cell", { index: 1 }],
    ["another life of it", { life: 9 }],
    ["an edge", { process: "edge" }],
    ["a cell that drains", { killed: false }],
  ])("that of %s is not meant", async (_, other) => {
    const log = new IncidentLog();
    const waiting = log.of({ process: "cell", index: 0, life: 10 }, Date.now());
    log.accept(incident(other));
    await vi.advanceTimersByTimeAsync(500);
    expect(await waiting).toBeUndefined();
  });

  test("of a cell of unknown life, one since the request began is meant", async () => {
    const log = new IncidentLog();
    const sinceMs = Date.now();
    log.accept(incident({ life: 8, atMs: sinceMs - 1 }));
    const told = incident({ life: 9 });
    const waiting = log.of({ process: "cell", index: 0, life: undefined }, sinceMs);
    log.accept(told);
    expect(await waiting).toBe(told);
  });

  test("all requests that wait for one are told", async () => {
    const log = new IncidentLog();
    const waiting = [1, 2, 3].map(() =>
      log.of({ process: "cell", index: 0, life: 10 }, Date.now()),
    );
    const told = incident({});
    log.accept(told);
    expect(await Promise.all(waiting)).toEqual([told, told, told]);
  });
});
