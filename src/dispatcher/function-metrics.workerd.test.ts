import { env } from "cloudflare:workers";
import { evictDurableObject, runDurableObjectAlarm, runInDurableObject } from "cloudflare:test";
import { describe, expect, it } from "vitest";
import type { KindTotals } from "../protocol/metrics-report.ts";
import { Aggregate } from "./aggregate.ts";
import type { FunctionMetrics } from "./function-metrics.ts";
import { DAY, HOUR, MINUTE, RETENTION_MS, startOf } from "./metrics-schema.ts";
import { COLD, batchOf } from "./test/batch.ts";

const objects = (env as unknown as { FUNCTION_METRICS: DurableObjectNamespace<FunctionMetrics> })
  .FUNCTION_METRICS;

let names = 0;
function newFunction(): DurableObjectStub<FunctionMetrics> {
  names += 1;
  return objects.getByName(`namespace/function-${names}`);
}

/** Of all kinds together. */
async function totalsOf(stub: DurableObjectStub<FunctionMetrics>) {
  const sum = new Aggregate();
  const kinds = (await stub.totals()) as unknown as readonly KindTotals[];
  for (const { totals } of kinds) sum.merge(totals);
  return sum.toData();
}

/** Rows per resolution. */
async function rowCounts(
  stub: DurableObjectStub<FunctionMetrics>,
): Promise<Record<"minute" | "hour" | "day", number>> {
  const counts = await runInDurableObject(stub, (_instance, { storage }) =>
    storage.sql
      .exec<{ resolution: number; n: number }>(
        "SELECT resolution, count(*) AS n FROM rows GROUP BY resolution",
      )
      .toArray(),
  );
  const of = (length: number) => counts.find(({ resolution }) => resolution === length)?.n ?? 0;
  return { minute: of(MINUTE), hour: of(HOUR), day: of(DAY) };
}

const ever = () => ({ sinceMs: Date.now() - 399 * DAY, untilMs: Date.now() + MINUTE });

describe("record", () => {
  it("counts a batch once, however often it is delivered", async () => {
    const stub = newFunction();
    const minute = startOf(Date.now(), MINUTE);
    const batch = batchOf("edge-a", 1, minute, [{ wallMs: 3 }, { status: 500 }]);
    await stub.record(batch);
    await stub.record(batch);
    await evictDurableObject(stub);
    await stub.record(batch);
    expect((await totalsOf(stub)).wall.count).toBe(2);

    await stub.record(batchOf("edge-b", 1, minute, [{}]));
    await stub.record(batchOf("edge-a", 2, minute, [{}]));
    await stub.record(batchOf("edge-a", 1, minute, [{}]));
    expect((await totalsOf(stub)).wall.count).toBe(4);
  });

  it("keeps outcomes, status classes, cold phases and versions apart", async () => {
    const stub = newFunction();
    const minute = startOf(Date.now(), MINUTE);
    await stub.record(
      batchOf("edge", 1, minute, [
        { versionId: "old", status: 404, cold: COLD },
        { versionId: "old", outcome: "exception", status: 0 },
        { versionId: "old", outcome: "canceled", status: 0 },
      ]),
    );
    await stub.record(batchOf("edge", 2, minute, [{ versionId: "new", status: 204, cold: COLD }]));
    const { summary, versions, points } = await stub.series({
      sinceMs: minute,
      untilMs: minute + MINUTE,
      stepSeconds: 60,
    });
    expect(summary).toMatchObject({
      requests: 4,
      errors: 1,
      outcomes: { ok: 2, exception: 1, canceled: 1 },
      statuses: { "2xx": 1, "4xx": 1, none: 2 },
      coldStarts: 2,
      cpuMs: null,
    });
    expect(summary.phasesMs.load?.count).toBe(2);
    expect(summary.phasesMs.load?.mean).toBe(8);
    expect(versions.map(({ versionId, coldStarts }) => [versionId, coldStarts])).toEqual([
      ["old", 1],
      ["new", 1],
    ]);
    expect(points.map(({ startMs, requests }) => [startMs, requests])).toEqual([[minute, 4]]);
  });

  it("stores nothing of a batch that is broken in the middle", async () => {
    const stub = newFunction();
    const minute = startOf(Date.now(), MINUTE);
    const good = batchOf("edge", 1, minute, [{}]);
    const broken = { ...good, deltas: [...good.deltas, { ...good.deltas[0], wall: null }] };
    await runInDurableObject(stub, async (instance) => {
      await expect(instance.record(broken as never)).rejects.toThrow(TypeError);
    });
    expect((await totalsOf(stub)).wall.count).toBe(0);
    await stub.record(good);
    expect((await totalsOf(stub)).wall.count).toBe(1);
  });
});

describe("the alarm", () => {
  it("rolls minutes up into hours and days without changing any sum", async () => {
    const stub = newFunction();
    const start = startOf(Date.now(), DAY) - DAY;
    for (let index = 0; index < 30; index += 1) {
      const minute = start + index * 7 * MINUTE;
      await stub.record(batchOf("edge", index + 1, minute, [{ wallMs: index }, { cold: COLD }]));
    }
    const before = await stub.series({ ...ever(), stepSeconds: null });
    expect(await rowCounts(stub)).toEqual({ minute: 30, hour: 0, day: 0 });
    expect(await runDurableObjectAlarm(stub)).toBe(true);
    // 30 x 7 minutes are 3.5 hours of one day.
    expect(await rowCounts(stub)).toEqual({ minute: 30, hour: 4, day: 1 });
    const after = await stub.series({ ...ever(), stepSeconds: null });
    expect(after.summary).toEqual(before.summary);
    expect(after.summary.requests).toBe(60);
    expect((await totalsOf(stub)).wall.count).toBe(60);
  });

  it("does not count an hour twice when it runs again", async () => {
    const stub = newFunction();
    const minute = startOf(Date.now(), HOUR) - HOUR;
    await stub.record(batchOf("edge", 1, minute, [{}]));
    for (let run = 0; run < 3; run += 1) {
      await runInDurableObject(stub, (instance) => instance.alarm());
    }
    const { points } = await stub.series({
      sinceMs: minute,
      untilMs: minute + HOUR,
      stepSeconds: 3600,
    });
    expect(points.map(({ requests }) => requests)).toEqual([1]);
    expect((await totalsOf(stub)).coldStarts).toBe(0);
    expect((await totalsOf(stub)).wall.count).toBe(1);
  });

  it("adds records that arrive after the roll-up to every resolution", async () => {
    const stub = newFunction();
    const minute = startOf(Date.now(), DAY) - DAY;
    await stub.record(batchOf("edge", 1, minute, [{}]));
    await runDurableObjectAlarm(stub);
    await stub.record(batchOf("edge", 2, minute, [{}, {}]));
    for (const stepSeconds of [60, 3600, 86_400, null]) {
      const { summary } = await stub.series({
        sinceMs: minute,
        untilMs: minute + DAY,
        stepSeconds,
      });
      expect(summary.requests, `step ${stepSeconds}`).toBe(3);
    }
    expect((await totalsOf(stub)).wall.count).toBe(3);
  });

  it("deletes each resolution after its retention and keeps the lifetime totals", async () => {
    const stub = newFunction();
    const now = Date.now();
    const ages = [
      0,
      RETENTION_MS[MINUTE] + 2 * HOUR,
      RETENTION_MS[HOUR] + 2 * DAY,
      RETENTION_MS[DAY] + 2 * DAY,
    ];
    for (const [index, age] of ages.entries()) {
      await stub.record(batchOf("edge", index + 1, startOf(now - age, MINUTE), [{}]));
    }
    await runDurableObjectAlarm(stub);
    const { minute, day } = await rowCounts(stub);
    expect(minute).toBe(1);
    // Today has no day row yet, and the oldest of the other three is past its retention.
    expect(day).toBe(2);
    expect((await totalsOf(stub)).wall.count).toBe(4);
    const { summary, stepSeconds } = await stub.series({ ...ever(), stepSeconds: 60 });
    expect(stepSeconds).toBe(86_400);
    expect(summary.requests).toBe(3);
  });

  it("is set by the first record and no more once nothing is left to do", async () => {
    const stub = newFunction();
    const alarmOf = () => runInDurableObject(stub, (_instance, { storage }) => storage.getAlarm());
    expect((await totalsOf(stub)).wall.count).toBe(0);
    expect(await alarmOf()).toBe(null);

    await stub.record(batchOf("edge", 1, startOf(Date.now(), MINUTE), [{}]));
    const soon = await alarmOf();
    expect(soon).toBeGreaterThan(Date.now());
    expect(soon).toBeLessThan(Date.now() + 2 * HOUR);

    const old = newFunction();
    await old.record(batchOf("edge", 1, Date.now() - 500 * DAY, [{}]));
    await runDurableObjectAlarm(old);
    expect(await runDurableObjectAlarm(old)).toBe(false);
    expect((await totalsOf(old)).wall.count).toBe(1);
  });
});

describe("series", () => {
  it("answers an unknown function with nothing and stores nothing", async () => {
    const stub = newFunction();
    const series = await stub.series({ ...ever(), stepSeconds: 3600 });
    expect(series.points).toEqual([]);
    expect(series.summary).toMatchObject({ requests: 0, errors: 0, wallMs: null, phasesMs: {} });
    const tables = await runInDurableObject(stub, (_instance, { storage }) =>
      storage.sql.exec("SELECT name FROM sqlite_master WHERE name = 'rows'").toArray(),
    );
    expect(tables).toEqual([]);
  });

  it("widens the range to whole steps and puts each minute into its step", async () => {
    const stub = newFunction();
    const start = startOf(Date.now() - 2 * HOUR, HOUR);
    for (const offset of [0, 1, 4, 5, 11]) {
      await stub.record(batchOf("edge", offset + 1, start + offset * MINUTE, [{ wallMs: offset }]));
    }
    const series = await stub.series({
      sinceMs: start + 30_000,
      untilMs: start + 10 * MINUTE,
      stepSeconds: 300,
    });
    expect(series.sinceMs).toBe(start);
    expect(series.untilMs).toBe(start + 10 * MINUTE);
    expect(series.points.map(({ startMs, requests }) => [startMs - start, requests])).toEqual([
      [0, 3],
      [5 * MINUTE, 1],
    ]);
  });

  it("refuses an empty range and a step of nothing", async () => {
    await runInDurableObject(newFunction(), (instance) => {
      const query = { sinceMs: 2, untilMs: 1, stepSeconds: null };
      expect(() => instance.series(query)).toThrow("since (2) must be before until (1)");
      expect(() => instance.series({ ...query, sinceMs: 0, stepSeconds: 0 })).toThrow(
        "step must be more than 0 seconds, not 0",
      );
    });
  });
});

it("forgets everything when it is destroyed, and can be used anew", async () => {
  const stub = newFunction();
  await stub.record(batchOf("edge", 9, startOf(Date.now(), MINUTE), [{}]));
  await stub.destroy();
  expect((await totalsOf(stub)).wall.count).toBe(0);
  expect(await runDurableObjectAlarm(stub)).toBe(false);
  await stub.record(batchOf("edge", 1, startOf(Date.now(), MINUTE), [{}]));
  expect((await totalsOf(stub)).wall.count).toBe(1);
});

describe("kinds", () => {
  it("are counted apart, in rows, roll-ups and totals, with their retries", async () => {
    const stub = newFunction();
    const minute = startOf(Date.now() - 3 * HOUR, MINUTE);
    await stub.record(batchOf("edge-a", 1, minute, [{ wallMs: 3 }, { wallMs: 5 }]));
    const runs = [{ isRetry: true, outcome: "exception" as const }, {}];
    const kind = "scheduled" as const;
    await stub.record(
      batchOf(
        "edge-a",
        2,
        minute,
        runs.map((run) => ({ ...run, kind })),
      ),
    );
    const check = async () => {
      const { summary, kinds, versions } = await stub.series({ ...ever(), stepSeconds: null });
      expect(summary).toMatchObject({ requests: 4, errors: 1, retries: 1 });
      expect(versions).toMatchObject([{ versionId: "v1", requests: 4 }]);
      expect(kinds).toMatchObject([
        { kind: "fetch", requests: 2, errors: 0, retries: 0 },
        { kind: "scheduled", requests: 2, errors: 1, retries: 1 },
      ]);
      const totals = await stub.totals();
      expect(totals).toMatchObject([
        { kind: "fetch", totals: { wall: { count: 2 }, retries: 0 } },
        { kind: "scheduled", totals: { wall: { count: 2 }, retries: 1 } },
      ]);
    };
    await check();
    await runDurableObjectAlarm(stub);
    expect(await rowCounts(stub)).toMatchObject({ hour: 2 });
    await check();
  });

  it("what was stored before there were kinds is kept, as requests", async () => {
    const stub = newFunction();
    const minute = startOf(Date.now() - 3 * HOUR, MINUTE);
    await stub.record(batchOf("edge-a", 1, minute, [{ wallMs: 3 }, { wallMs: 5 }]));
    await runDurableObjectAlarm(stub);
    await runInDurableObject(stub, (_instance, { storage }) => {
      storage.sql.exec(`
        CREATE TABLE old (resolution INTEGER NOT NULL, start INTEGER NOT NULL, version TEXT NOT NULL,
          data TEXT NOT NULL, PRIMARY KEY (resolution, start, version)) WITHOUT ROWID;
        INSERT INTO old SELECT resolution, start, version, data FROM rows;
        DROP TABLE rows;
        ALTER TABLE old RENAME TO rows;
        UPDATE state SET name = 'lifetime' WHERE name = 'lifetime fetch';`);
    });
    await evictDurableObject(stub);
    expect((await totalsOf(stub)).wall.count).toBe(2);
    const { kinds } = await stub.series({ ...ever(), stepSeconds: null });
    expect(kinds).toMatchObject([{ kind: "fetch", requests: 2 }]);
    await stub.record(batchOf("edge-b", 1, minute, [{ kind: "queue" }]));
    expect((await totalsOf(stub)).wall.count).toBe(3);
  });
});
