import { runDurableObjectAlarm, runInDurableObject } from "cloudflare:test";
import { beforeAll, describe, expect, it } from "vitest";
import type { RoutingUpdate, ScriptState } from "../protocol/routing.ts";
import type { TraceEvent } from "../protocol/trace.ts";
import { LogStore } from "./log-store.ts";
import {
  bootstrap,
  call,
  deploy,
  edgeGate,
  helloForm,
  hub,
  NAMESPACES,
  scriptPath,
  supervisorCalls,
} from "./test/api.ts";

const HOUR_MS = 3_600_000;
const NOW_MS = Date.UTC(2026, 10, 23);
const EVERYTHING = { sinceMs: 0, untilMs: Infinity, limit: 1_000 };

beforeAll(async () => {
  await bootstrap();
});

async function tracedOf(script: string) {
  const state = await edgeGate.fetch(`http://hub/resolve?namespace=production&script=${script}`);
  return (await state.json<ScriptState>()).traced;
}

function event(message: string, atMs: number, outcome: TraceEvent["outcome"] = "ok"): TraceEvent {
  return {
    outcome,
    scriptName: "a",
    scriptVersion: { id: "v" },
    scriptTags: [],
    logs: [{ message: [message], level: "log", timestamp: atMs }],
    exceptions: [],
    diagnosticsChannelEvents: [],
    eventTimestamp: atMs,
    wallTime: 0,
    cpuTime: 0,
    truncated: false,
    executionModel: "stateless",
    event: null,
  };
}

function withStore<T>(name: string, body: (store: LogStore) => T): Promise<T> {
  return runInDurableObject(hub.FUNCTION_LOGS.getByName(name), (_instance, { storage }) =>
    body(new LogStore(storage.sql)),
  );
}

function add(store: LogStore, events: readonly TraceEvent[], nowMs = NOW_MS): void {
  store.add(
    events,
    events.map((each) => JSON.stringify(each)),
    nowMs,
  );
}

describe("a tail", () => {
  it("to which nobody connects ends", async () => {
    await deploy("alone", helloForm("hi"));
    expect(await tracedOf("alone")).toBeUndefined();
    await call("POST", `${scriptPath("alone")}/tails`, { filters: [] });
    expect(await tracedOf("alone")).toEqual({ hub: 1, consumers: [] });
    const registry = hub.REGISTRY.getByName("registry");
    await runInDurableObject(registry, (_instance, { storage }) => {
      storage.sql.exec(`UPDATE tails SET lease_until = 0`);
    });
    await runDurableObjectAlarm(registry);
    expect(await tracedOf("alone")).toBeUndefined();
  });

  it("is one of ten at most", async () => {
    await deploy("popular", helloForm("hi"));
    const path = `${scriptPath("popular")}/tails`;
    for (let n = 0; n < 10; n++) expect((await call("POST", path, {})).status).toBe(200);
    const refused = await call("POST", path, {});
    expect(refused.status).toBe(429);
  });
});

describe("Tail Workers of a namespace", () => {
  it("follow the name of theirs, and go with it", async () => {
    await call("POST", NAMESPACES, { name: "tails" });
    await call("PUT", scriptPath("collector", "tails"), helloForm("hi"));
    await deploy("watched", helloForm("hi"));
    const production = `${NAMESPACES}/production`;
    await supervisorCalls();
    const changed = await call("PATCH", production, { tail_consumers: ["tails/collector"] });
    expect(changed.errors).toEqual([]);
    const told = async () => {
      const bodies = (await supervisorCalls()).map(({ body }) => body as RoutingUpdate | null);
      const states = bodies.flatMap((body) => body?.scripts ?? []);
      return states.find(({ script }) => script === "watched");
    };
    const consumers = [{ namespace: "tails", script: "collector" }];
    expect((await told())?.traced).toEqual({ hub: 0, consumers });

    await call("PATCH", `${NAMESPACES}/tails`, { name: "renamed" });
    expect((await told())?.traced?.consumers).toEqual([
      { namespace: "renamed", script: "collector" },
    ]);
    expect((await call("DELETE", `${NAMESPACES}/renamed`)).errors).toEqual([]);
    expect(await told()).toMatchObject({ script: "watched" });
    expect(await tracedOf("watched")).toBeUndefined();
    expect((await call("GET", production)).result.tail_consumers).toEqual([]);
  });
});

describe("settings", () => {
  it("say what is sampled", async () => {
    const observability = { enabled: true, head_sampling_rate: 0.25 };
    await deploy("sampled", helloForm("hi", { observability }));
    expect(await tracedOf("sampled")).toEqual({ hub: 0.25, consumers: [] });
    await call("POST", `${scriptPath("sampled")}/tails`, {});
    expect(await tracedOf("sampled")).toEqual({ hub: 1, consumers: [] });
    const logs = { enabled: false };
    await deploy("quiet", helloForm("hi", { observability: { ...observability, logs } }));
    expect(await tracedOf("quiet")).toBeUndefined();
  });
});

describe("kept logs", () => {
  it("are bounded by size, the oldest going first", async () => {
    await withStore("large", (store) => {
      const padding = "x".repeat(1024 * 1024);
      for (let n = 0; n < 40; n++) add(store, [event(`number ${n}. ${padding}`, NOW_MS + n)]);
      const { events } = store.query(EVERYTHING);
      expect(events.length).toBeLessThanOrEqual(16);
      expect(events.length).toBeGreaterThan(10);
      expect(events[0]?.event.logs[0]?.message).toEqual([`number 39. ${padding}`]);
      expect(store.query({ ...EVERYTHING, grep: "number 3." }).events).toEqual([]);
    });
  });

  it("are bounded by age", async () => {
    await withStore("old", (store) => {
      add(store, [event("first", NOW_MS), event("second", NOW_MS + 10 * HOUR_MS)]);
      store.trim(NOW_MS + 73 * HOUR_MS);
      const { events } = store.query(EVERYTHING);
      expect(events.map(({ event: { logs } }) => logs[0]?.message)).toEqual([["second"]]);
    });
  });

  it("get old also where somebody looked for them before there were any", async () => {
    const logs = hub.FUNCTION_LOGS.getByName("looked-at");
    const alarms = await runInDurableObject(logs, async (instance, { storage }) => {
      instance.query(EVERYTHING);
      instance.take({ events: [event("first", NOW_MS)], dropped: 0, kept: [0] });
      const set = await storage.getAlarm();
      await storage.deleteAlarm();
      // Long ago: nothing is left, and nothing to wake up for.
      storage.sql.exec(`UPDATE events SET at = 1`);
      instance.alarm();
      return [set, await storage.getAlarm(), instance.query(EVERYTHING).events.length];
    });
    expect(alarms).toEqual([expect.any(Number), null, 0]);
  });

  it("are searched for what no text has", async () => {
    await withStore("nul", (store) => {
      add(store, [event("needle", NOW_MS)]);
      expect(store.query({ ...EVERYTHING, grep: "nee\0dle" }).events).toEqual([]);
    });
  });

  it.each([
    ["HAY", 1],
    ["needle", 1],
    ["ee", 1],
    [`"quoted" AND * (`, 1],
    ["π", 1],
    ["%", 0],
    ["needle haystack", 0],
  ])("are searched for %s as it is", async (grep, count) => {
    await withStore(`words-${grep}`, (store) => {
      add(store, [event(`a needle in hay, "quoted" AND * ( π`, NOW_MS), event("other", NOW_MS)]);
      expect(store.query({ ...EVERYTHING, grep }).events).toHaveLength(count);
    });
  });
});
