/** Runs of Cron Triggers, with time made to pass. */
import { runDurableObjectAlarm, runInDurableObject } from "cloudflare:test";
import { env as bindings } from "cloudflare:workers";
import { beforeEach, describe, expect, test } from "vitest";
import type { EventDelivery } from "../../protocol/events.ts";
import { DEFAULT_INVOCATION_SETTINGS } from "../../protocol/invocations.ts";
import type { ScheduleReport } from "../../protocol/schedules.ts";
import type { StoreEnv } from "../env.ts";
import type { ScriptConfig } from "./config.ts";
import { scripts } from "./kind.ts";
import type { Schedules } from "./schedules.ts";

const env = bindings as unknown as StoreEnv;
const MINUTE = 60_000;

let objects = 0;
let stub: DurableObjectStub<Schedules>;

beforeEach(() => {
  // The object's name is fixed where it is used, so each test has scripts of its own in it.
  stub = env.SCHEDULES.getByName("schedules");
});

function config(name: string, crons: readonly string[], namespace = "production"): ScriptConfig {
  const id = `script-${++objects}`;
  const place = { accountId: "a", namespaceId: namespace, namespace, name, limits: {} };
  return {
    kind: "script",
    id,
    ...place,
    settings: { crons, invocations: null, hasObjects: false, isAccounts: false },
  };
}

async function scheduled(name: string, crons: readonly string[] = ["* * * * *"]): Promise<string> {
  const given = config(name, crons);
  await stub.configure(given.id, given);
  return given.id;
}

async function report(id: string): Promise<ScheduleReport> {
  return stub.report(id, 200);
}

const taken = async () =>
  (await (env.EDGE_0 as Fetcher).fetch("http://edge/taken")).json<readonly EventDelivery[]>();

/** As if all that is due had become so this much earlier; then the alarm. */
async function pass(id: string, ms: number): Promise<void> {
  await runInDurableObject(stub, (_instance, { storage }) => {
    storage.sql.exec(`UPDATE triggers SET next_ms = next_ms - ? WHERE script_id = ?`, ms, id);
    storage.sql.exec(
      `UPDATE runs SET next_ms = next_ms - ?, scheduled_ms = scheduled_ms - ? WHERE script_id = ?`,
      ms,
      ms,
      id,
    );
  });
  await runDurableObjectAlarm(stub);
}

const newest = async (id: string) => (await report(id)).runs[0];

describe("a run", () => {
  test("ends with what its handler did, and the next one is planned", async () => {
    const id = await scheduled("ok");
    await taken();
    await pass(id, MINUTE);
    await expect
      .poll(() => newest(id))
      .toMatchObject({
        cron: "* * * * *",
        state: "ended",
        outcome: "ok",
        attempts: 1,
        missedSinceMs: null,
        isLate: false,
      });
    const { runs, next } = await report(id);
    const scheduledTimeMs = runs[0]?.scheduledMs ?? 0;
    expect(scheduledTimeMs % MINUTE).toBe(0);
    expect(next).toEqual([{ cron: "* * * * *", atMs: expect.any(Number) }]);
    expect(next[0]?.atMs).toBeGreaterThan(Date.now());
    expect(await taken()).toContainEqual({
      namespace: "production",
      script: "ok",
      event: { type: "scheduled", cron: "* * * * *", scheduledTimeMs },
      attempt: 1,
    });
  });

  test("that fails is tried three times, but not against noRetry()", async () => {
    const id = await scheduled("throws", ["1 1 1 1 *"]);
    const once = await scheduled("never-again", ["1 1 1 1 *"]);
    await pass(once, 400 * 24 * 60 * MINUTE);
    await pass(id, 400 * 24 * 60 * MINUTE);
    await expect.poll(() => newest(once)).toMatchObject({ state: "ended", attempts: 1 });
    for (const attempts of [1, 2]) {
      await expect
        .poll(() => newest(id))
        .toMatchObject({ state: "waiting", attempts, outcome: "exception" });
      await pass(id, 2 * MINUTE);
    }
    await expect.poll(() => newest(id)).toMatchObject({ state: "ended", attempts: 3 });
    expect((await report(id)).runs).toHaveLength(1);
  });

  test("waits for a function that is missing or backs off, and no longer than a day", async () => {
    const id = await scheduled("missing", ["1 1 1 1 *"]);
    const backing = await scheduled("limited", ["1 1 1 1 *"]);
    for (const each of [id, backing]) await pass(each, 400 * 24 * 60 * MINUTE);
    const waiting = { state: "waiting", attempts: 0, error: "no such function" };
    // The scheduled time is that of the last match, which is not a day ago only on one day of the year.
    await expect.poll(async () => (await newest(id))?.error).toBe("no such function");
    await runInDurableObject(stub, (_instance, { storage }) => {
      storage.sql.exec(
        `UPDATE runs SET state = 'waiting', scheduled_ms = ?, next_ms = ? WHERE script_id = ?`,
        Date.now(),
        Date.now(),
        id,
      );
    });
    await runDurableObjectAlarm(stub);
    await expect.poll(() => newest(id)).toMatchObject(waiting);
    await pass(id, 25 * 60 * MINUTE);
    await expect.poll(() => newest(id)).toMatchObject({ state: "ended", outcome: "unknown" });
  });

  test("of a version without a handler says so", async () => {
    const id = await scheduled("without-handler");
    await pass(id, MINUTE);
    await expect
      .poll(() => newest(id))
      .toMatchObject({
        state: "ended",
        attempts: 0,
        outcome: "exception",
        error: "exports no such handler",
      });
  });

  test("whose process was lost counts as a try", async () => {
    const id = await scheduled("lost");
    await pass(id, MINUTE);
    await expect.poll(() => newest(id)).toMatchObject({ state: "waiting", attempts: 1 });
  });
});

test("times that were missed are one run, for the last of them", async () => {
  const id = await scheduled("ok", ["*/10 * * * *"]);
  await pass(id, 3 * 60 * MINUTE);
  await expect.poll(() => newest(id)).toMatchObject({ state: "ended", outcome: "ok" });
  const { runs } = await report(id);
  expect(runs).toHaveLength(1);
  const { scheduledMs = 0, missedSinceMs = 0 } = runs[0] ?? {};
  expect(Date.now() - scheduledMs).toBeLessThan(11 * MINUTE);
  expect(scheduledMs - (missedSinceMs ?? 0)).toBeGreaterThan(160 * MINUTE);
});

test("what an earlier life of the process had begun is begun again, and counts as no try", async () => {
  const id = await scheduled("ok");
  await pass(id, MINUTE);
  await expect.poll(() => newest(id)).toMatchObject({ state: "ended" });
  await runInDurableObject(stub, (_instance, { storage }) => {
    storage.sql.exec(
      `UPDATE runs SET state = 'running', life = 'before', attempts = 0, ended_ms = NULL WHERE script_id = ?`,
      id,
    );
  });
  await runDurableObjectAlarm(stub);
  await expect.poll(() => newest(id)).toMatchObject({ state: "waiting", attempts: 0 });
  await pass(id, MINUTE);
  const first = async () => (await report(id)).runs.at(-1);
  await expect.poll(first).toMatchObject({ state: "ended", outcome: "ok", attempts: 1 });
});

test("2,000 that are due at once all run, whatever their namespace, and each once", async () => {
  const ids: string[] = [];
  const before = await taken();
  expect(before.length).toBeLessThan(2_000);
  for (let n = 0; n < 20; n++) {
    const crons = Array.from({ length: 100 }, (_, m) => `${m % 60},${Math.floor(m / 60)} 1 1 1 *`);
    const given = config("ok", [...new Set(crons)], `namespace-${n % 3}`);
    await stub.configure(given.id, given);
    ids.push(given.id);
  }
  const total = (await Promise.all(ids.map(report))).reduce(
    (sum, { next }) => sum + next.length,
    0,
  );
  for (const id of ids) {
    await runInDurableObject(stub, (_instance, { storage }) => {
      storage.sql.exec(`UPDATE triggers SET next_ms = ? WHERE script_id = ?`, Date.now(), id);
    });
  }
  await runDurableObjectAlarm(stub);
  const ended = async () => {
    const reports = await Promise.all(ids.map(report));
    return reports.flatMap(({ runs }) => runs).filter(({ outcome }) => outcome === "ok").length;
  };
  await expect.poll(ended, { timeout: 50_000, interval: 500 }).toBe(total);
  const delivered = (await taken()).filter(({ namespace }) => namespace.startsWith("namespace-"));
  expect(delivered).toHaveLength(total);
});

test("runs that do not end leave room for those of other namespaces", async () => {
  const tell = (what: string) =>
    (env.EDGE_0 as Fetcher).fetch(`http://edge/${what}/stays`, { method: "POST" });
  await tell("close");
  const crons = Array.from({ length: 300 }, (_, n) => `${n % 60} ${Math.floor(n / 60)} 1 1 *`);
  const greedy = ["greedy-1", "greedy-2", "greedy-3"].map((name) => config("stays", crons, name));
  for (const given of greedy) {
    await stub.configure(given.id, given);
    await runInDurableObject(stub, (_instance, { storage }) => {
      storage.sql.exec(`UPDATE triggers SET next_ms = ? WHERE script_id = ?`, Date.now(), given.id);
    });
  }
  await runDurableObjectAlarm(stub);
  const id = await scheduled("ok");
  await pass(id, MINUTE);
  await expect.poll(() => newest(id)).toMatchObject({ state: "ended", outcome: "ok" });
  await tell("open");
  for (const given of greedy) await stub.forget(given.id);
});

test("removed triggers run no more, and their waiting runs go with them", async () => {
  const given = config("missing", ["* * * * *", "*/2 * * * *"]);
  await stub.configure(given.id, given);
  await pass(given.id, 2 * MINUTE);
  await expect.poll(async () => (await report(given.id)).runs.length).toBe(2);
  const settings = { ...given.settings, crons: ["*/2 * * * *"] };
  await expect
    .poll(async () => (await report(given.id)).runs.every(({ state }) => state === "waiting"))
    .toBe(true);
  await stub.configure(given.id, { ...given, settings });
  expect((await report(given.id)).runs).toMatchObject([{ cron: "*/2 * * * *" }]);
  await stub.forget(given.id);
  expect(await report(given.id)).toEqual({ runs: [], next: [] });
});

test("a deletion that was broken off is done by the next try, with what was invoked", async () => {
  const given = config("missing", ["* * * * *"]);
  const settings = { ...given.settings, invocations: DEFAULT_INVOCATION_SETTINGS };
  await scripts.configure({ ...given, settings }, given.id, env);
  await env.INVOCATIONS.getByName(given.id).create({
    type: "Event",
    idempotencyKey: null,
    contentType: null,
    payload: { bytes: "" },
  });
  const lost = { getByName: () => ({ configure: () => Promise.reject(new Error("lost")) }) };
  const broken = { ...env, INVOCATIONS: lost } as unknown as StoreEnv;
  await expect(scripts.configure(null, given.id, broken)).rejects.toThrow("lost");
  await scripts.configure(null, given.id, env);
  expect(await stub.hasInvocations(given.id)).toBe(false);
  const tables = () =>
    runInDurableObject(env.INVOCATIONS.getByName(given.id), (_instance, { storage }) =>
      storage.sql.exec(`SELECT 1 FROM sqlite_master WHERE name = 'invocations'`).toArray(),
    );
  await expect.poll(tables).toEqual([]);
});
