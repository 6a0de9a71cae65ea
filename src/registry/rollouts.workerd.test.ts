import { runDurableObjectAlarm, runInDurableObject } from "cloudflare:test";
import { beforeAll, beforeEach, describe, expect, it } from "vitest";
import { Histogram } from "../dispatcher/histogram.ts";
import type { ScriptState } from "../protocol/routing.ts";
import {
  ACCOUNT,
  bootstrap,
  call,
  deploy,
  edgeGate,
  helloForm,
  hub,
  NAMESPACES,
  scriptPath,
} from "../hub/test/api.ts";
import { registryOf } from "./client.ts";

const registry = hub.REGISTRY.getByName("registry");
const client = registryOf(hub);

let namespaceId = "";
beforeAll(async () => {
  await bootstrap();
  const found = await client.namespace(ACCOUNT, "production");
  if (found.ok) namespaceId = found.value.id;
});

/** The script of each test, with an old version in force and a new one that was uploaded. */
let script = "";
let older = "";
let newer = "";
let count = 0;
beforeEach(async () => {
  script = `rolled-${count++}`;
  older = (await deploy(script, helloForm("old"))).result.deployment_id;
  newer = (await deploy(script, helloForm("new"))).result.deployment_id;
  await give(older);
});

async function give(versionId: string): Promise<void> {
  const deployed = await client.deploy(namespaceId, script, {
    shares: [{ versionId, percentage: 100 }],
    annotations: {},
    author: "somebody",
    source: "api",
  });
  expect(deployed.ok).toBe(true);
}

function start(options: object = {}) {
  return call("POST", `${scriptPath(script)}/rollout`, {
    version_id: newer,
    interval_seconds: 3_600,
    abort_on: "error_rate>1%",
    ...options,
  });
}

async function rollout() {
  return (await call("GET", `${scriptPath(script)}/rollout`)).result;
}

/** As edges report it. */
async function serve(versionId: string, requests: number, errors = 0, wallMs = 5): Promise<void> {
  const wall = new Histogram();
  wall.add(wallMs, requests);
  const minute = Math.floor(Date.now() / 60_000) * 60_000;
  await hub.FUNCTION_METRICS.getByName(`${namespaceId}/${script}`).record({
    source: crypto.randomUUID(),
    sequence: 1,
    deltas: [
      {
        minute,
        versionId,
        kind: "fetch",
        outcomes: { ok: requests - errors, exception: errors },
        statuses: { "2xx": requests - errors, none: errors },
        requestBytes: 0,
        responseBytes: 0,
        wall: wall.toData(),
        coldStarts: 0,
        retries: 0,
        phases: {},
      },
    ],
  });
}

function query(sql: string, ...values: unknown[]) {
  return runInDurableObject(registry, (_instance, { storage }) =>
    storage.sql.exec<Record<string, SqlStorageValue>>(sql, ...values).toArray(),
  );
}

/** As if the interval were over, with the next look due at once. */
async function passInterval(): Promise<void> {
  await query(
    `UPDATE rollouts SET step_since = step_since - 3600000, look_at = 0 WHERE look_at IS NOT NULL`,
  );
  await look();
}

async function look(): Promise<void> {
  await query(`UPDATE rollouts SET look_at = 0 WHERE look_at IS NOT NULL`);
  await runInDurableObject(registry, (instance) => instance.alarm());
}

async function shares(): Promise<Record<string, number>> {
  const found = await client.script(namespaceId, script);
  if (!found.ok) throw new Error(found.failure.reason);
  return Object.fromEntries(
    found.value.deployment.shares.map(({ versionId, percentage }) => [
      versionId === older ? "older" : versionId === newer ? "newer" : versionId,
      percentage,
    ]),
  );
}

describe("a rollout", () => {
  it("gives a sound version more with each step, and all in the end", async () => {
    const started = await start();
    expect(started.errors).toEqual([]);
    expect(started.result).toMatchObject({
      state: "running",
      version_id: newer,
      previous_version_id: older,
      percentage: 10,
      steps: [10, 25, 50, 100],
      decisions: [{ action: "started", percentage: 10 }],
    });
    for (const percentage of [10, 25, 50]) {
      expect(await shares()).toEqual({ older: 100 - percentage, newer: percentage });
      await serve(older, 1_000);
      await serve(newer, 200);
      await passInterval();
    }
    expect(await shares()).toEqual({ newer: 100 });
    const ended = await rollout();
    expect(ended).toMatchObject({ state: "promoted", percentage: 100, latest: null });
    expect(ended.ended_on).not.toBeNull();
    expect(ended.decisions.map((each: { action: string }) => each.action)).toEqual([
      "started",
      "advanced",
      "advanced",
      "promoted",
    ]);
    expect(ended.decisions[1]).toMatchObject({
      percentage: 25,
      requests: { candidate: 200, baseline: 1_000 },
      checks: [{ rule: "error_rate>1%", candidate: 0, baseline: 0, limit: 0.01, state: "kept" }],
    });
    const { result: events } = await call(
      "GET",
      `${NAMESPACES}/production/events?script=${script}`,
    );
    const ofRollout = events.filter(({ kind }: { kind: string }) => kind === "rollout");
    expect(ofRollout).toHaveLength(4);
    expect(ofRollout[0].detail).toContain("promoted at 100 %: error_rate 0 %");
  });

  it("waits for requests, and tells for what", async () => {
    await start();
    await serve(newer, 99);
    await passInterval();
    expect(await rollout()).toMatchObject({
      state: "running",
      percentage: 10,
      latest: { verdict: "wait", why: "the new version has 99 of 100 requests" },
    });
  });

  it("takes all traffic from a version that fails, long before the interval is over", async () => {
    await start();
    await serve(older, 1_000, 2);
    await serve(newer, 120, 9);
    await look();
    expect(await shares()).toEqual({ older: 100 });
    expect(await rollout()).toMatchObject({
      state: "rolled-back",
      percentage: 0,
      decisions: [
        { action: "started" },
        {
          action: "rolled-back",
          why: "error_rate 7.5 % (old version 0.2 %, limit 1 %) in 120 requests breaks error_rate>1%",
          requests: { candidate: 120, baseline: 1_000 },
        },
      ],
    });
  });

  it("takes all traffic from a version that was convicted, whatever the rules are", async () => {
    await start({ abort_on: "" });
    await query(
      `UPDATE trust SET state = 'convicted', why = 'it hung' WHERE version_id = ?`,
      newer,
    );
    await look();
    expect(await rollout()).toMatchObject({ state: "rolled-back" });
    expect((await rollout()).decisions.at(-1).why).toBe("the new version was convicted: it hung");
  });

  it("compares latencies only once both versions run in the same kind of place", async () => {
    const prove = (versionId: string, sinceMs: number) =>
      query(
        `UPDATE trust SET state = 'proven', since = ? WHERE version_id = ?`,
        Date.now() - sinceMs,
        versionId,
      );
    await prove(older, 3_600_000);
    await start({ abort_on: "p99>+50%" });
    await serve(older, 1_000);
    await serve(newer, 1_000, 0, 90);
    await passInterval();
    expect((await rollout()).latest.why).toContain("not sure yet of p99>+50%");
    await prove(newer, 1_000);
    await look();
    expect((await rollout()).state).toBe("running");
    await prove(newer, 120_000);
    await look();
    expect(await rollout()).toMatchObject({ state: "rolled-back" });
  });

  it("goes on by the alarm alone", async () => {
    await start();
    await serve(newer, 100, 50);
    await query(`UPDATE rollouts SET look_at = 0 WHERE look_at IS NOT NULL`);
    // Every change sets the alarm, as does a Registry that starts.
    await runDurableObjectAlarm(registry);
    expect(await rollout()).toMatchObject({ state: "rolled-back" });
  });

  it("reaches the edges", async () => {
    await start();
    const state: ScriptState = await (
      await edgeGate.fetch(`http://hub/resolve?namespace=production&script=${script}`)
    ).json();
    expect(state).toMatchObject({
      versionId: older,
      shares: [
        { versionId: older, percentage: 90 },
        { versionId: newer, percentage: 10 },
      ],
    });
  });

  it("is not looked at any more once it has ended", async () => {
    await start();
    const { result } = await call("DELETE", `${scriptPath(script)}/rollout`);
    expect(await query(`SELECT look_at FROM rollouts WHERE id = ?`, result.id)).toEqual([
      { look_at: null },
    ]);
  });
});

describe("by hand, a rollout", () => {
  it("is aborted", async () => {
    await start();
    const { result } = await call("DELETE", `${scriptPath(script)}/rollout`);
    expect(result).toMatchObject({ state: "aborted", percentage: 0 });
    expect(result.decisions[1].why).toContain("by hand");
    expect(await shares()).toEqual({ older: 100 });
  });

  it("is promoted", async () => {
    await start();
    const { result } = await call("POST", `${scriptPath(script)}/rollout/promote`);
    expect(result).toMatchObject({ state: "promoted", percentage: 100 });
    expect(await shares()).toEqual({ newer: 100 });
  });

  it("is ended once", async () => {
    await start();
    await call("DELETE", `${scriptPath(script)}/rollout`);
    const again = await call("DELETE", `${scriptPath(script)}/rollout`);
    expect(again).toMatchObject({
      status: 404,
      errors: [{ message: expect.stringContaining("the latest one was aborted") }],
    });
  });

  it.each([
    ["another deployment", () => give(newer)],
    ["an upload", () => deploy(script, helloForm("third"))],
  ])("is superseded by %s, which stays in force", async (_name, change) => {
    await start();
    await change();
    const inForce = await shares();
    expect(await rollout()).toMatchObject({ state: "superseded", percentage: null });
    expect((await rollout()).decisions.at(-1).why).toContain("another deployment came into force");
    await serve(newer, 500, 400);
    await passInterval();
    expect(await shares()).toEqual(inForce);
  });

  it("can be followed by another one", async () => {
    await start();
    await call("DELETE", `${scriptPath(script)}/rollout`);
    const { result } = await start({ steps: [50] });
    expect(result).toMatchObject({ state: "running", steps: [50, 100], percentage: 50 });
  });
});

describe("refused is", () => {
  const refusal = async (options: object) => (await start(options)).errors[0]?.message;

  it("what makes no sense, with the reason", async () => {
    expect(await refusal({ steps: [10, 5] })).toBe(
      "steps: 5 follows 10, expected more with each step",
    );
    expect(await refusal({ steps: [100] })).toContain("nothing to watch");
    expect(await refusal({ steps: [0] })).toContain("body.steps[0]");
    expect(await refusal({ interval_seconds: 0 })).toContain("body.interval_seconds");
    expect(await refusal({ abort_on: "latency>1s" })).toContain("'latency' is none of");
    expect(await refusal({ percentage: 10 })).toContain("percentage");
    expect(await refusal({ version_id: older })).toContain("has all traffic already");
    expect(await refusal({ version_id: crypto.randomUUID() })).toContain("There is no version");
  });

  it("a second one, until the first has ended", async () => {
    await start();
    expect(await start()).toMatchObject({
      status: 409,
      errors: [{ message: expect.stringContaining(newer) }],
    });
  });

  it("a rule about what nobody can measure", async () => {
    await call("PUT", `${NAMESPACES}/production`, { isolation: "dedicated" });
    expect(await refusal({ abort_on: "cost>+50%" })).toContain("is not measured");
    await call("PUT", `${NAMESPACES}/production`, { isolation: null });
  });

  it("to tell of a rollout that never was", async () => {
    expect(await call("GET", `${scriptPath(script)}/rollout`)).toMatchObject({
      status: 404,
      errors: [{ message: `There is no rollout of '${script}'.` }],
    });
  });
});
