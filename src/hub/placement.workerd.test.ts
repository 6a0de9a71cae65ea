import { runInDurableObject } from "cloudflare:test";
import { beforeAll, beforeEach, describe, expect, it } from "vitest";
import { Aggregate } from "../dispatcher/aggregate.ts";
import type { Incident } from "../protocol/incident.ts";
import { DEFAULT_PLATFORM_LIMITS } from "../protocol/limits.ts";
import type { ScriptState } from "../protocol/routing.ts";
import type { Outcome } from "../protocol/telemetry.ts";
import {
  ACCOUNT,
  adminGate,
  bootstrap,
  call,
  deploy,
  edgeGate,
  failSupervisor,
  helloForm,
  hub,
  limitedToken,
  NAMESPACES,
  request,
  scriptPath,
  supervisorCalls,
} from "./test/api.ts";

const registry = hub.REGISTRY.getByName("registry");
const NAMESPACE = `${NAMESPACES}/production`;

beforeAll(async () => {
  await bootstrap();
});

beforeEach(async () => {
  await supervisorCalls();
});

async function resolve(script: string): Promise<ScriptState> {
  return (await edgeGate.fetch(`http://hub/resolve?namespace=production&script=${script}`)).json();
}

async function deployed(script: string): Promise<string> {
  const { result } = await deploy(script, helloForm(script));
  await supervisorCalls();
  return result.deployment_id;
}

let sequence = 0;

/** As an edge reports `count` invocations of a version. */
async function report(script: string, versionId: string, outcome: Outcome, count = 1) {
  const aggregate = new Aggregate();
  const kind = "fetch" as const;
  const usual = { versionId, kind, isRetry: false, status: 200, wallMs: 1 };
  for (let n = 0; n < count; n++) aggregate.add({ ...usual, outcome });
  const minute = Math.floor(Date.now() / 60_000) * 60_000;
  const batch = {
    source: "edge",
    sequence: ++sequence,
    deltas: [{ minute, versionId, kind, ...aggregate.toData() }],
  };
  const body = JSON.stringify({ functions: [{ namespace: "production", script, batch }] });
  const response = await edgeGate.fetch("http://hub/telemetry?edge=0", { method: "POST", body });
  expect(await response.json()).toEqual({ failed: [] });
}

/** As if the present state of trust had begun so much earlier. */
async function passTime(versionId: string, ms: number): Promise<void> {
  await runInDurableObject(registry, (_instance, { storage }) => {
    storage.sql.exec(`UPDATE trust SET since = since - ? WHERE version_id = ?`, ms, versionId);
  });
}

async function prove(script: string, versionId: string): Promise<void> {
  await passTime(versionId, 60_000);
  await report(script, versionId, "ok", 100);
}

let life = 100;

async function tell(more: Partial<Incident>): Promise<number> {
  const incident: Incident = {
    kind: "cpu",
    atMs: Date.now(),
    process: "cell",
    index: 1,
    life: ++life,
    killed: true,
    named: null,
    certain: false,
    involved: [],
    detail: "212 ms of CPU without progress",
    ...more,
  };
  const body = JSON.stringify(incident);
  return (await adminGate.fetch("http://hub/incident", { method: "POST", body })).status;
}

async function placement(script: string) {
  return (await call("GET", `${scriptPath(script)}/placement`)).result;
}

async function eventsOf(script: string): Promise<string[]> {
  const { result } = await call("GET", `${NAMESPACE}/events?script=${script}`);
  return result.map(({ kind }: { kind: string }) => kind);
}

/** The states of a script in the pushes since the last time. */
async function pushed(script: string): Promise<ScriptState[]> {
  const calls = await supervisorCalls();
  return calls.flatMap(({ body }) => {
    const { scripts = [] } = body as { scripts?: ScriptState[] };
    return scripts.filter((state) => state.script === script);
  });
}

describe("a new version", () => {
  it("is on probation, and loaded before it is taken into use", async () => {
    await deploy("fresh", helloForm("one"));
    const [push, ...more] = await pushed("fresh");
    expect(more).toEqual([]);
    const state = await resolve("fresh");
    expect(push).toEqual({ ...state, prewarm: true });
    expect(state).toMatchObject({
      place: { kind: "probation", why: "new version", refusedUntilMs: 0 },
      limits: DEFAULT_PLATFORM_LIMITS.defaults,
      trusted: false,
    });
  });

  it("is proven by a hundred clean invocations and a minute", async () => {
    const versionId = await deployed("climber");
    await report("climber", versionId, "ok", 60);
    await passTime(versionId, 60_000);
    await report("climber", versionId, "exception", 39);
    expect(await placement("climber")).toMatchObject({
      version_id: versionId,
      place: "probation",
      trust: "probation",
      clean_invocations: 99,
    });
    await report("climber", versionId, "canceled", 1);
    const place = { kind: "edge", why: "proven by 100 clean invocations", refusedUntilMs: 0 };
    await expect.poll(() => pushed("climber")).toMatchObject([{ versionId, place }]);
    expect((await resolve("climber")).place).toEqual(place);
    expect(await placement("climber")).toMatchObject({ place: "edge", trust: "proven" });
    expect(await eventsOf("climber")).toEqual(["promoted"]);
  });

  it("starts its run anew when it exceeds a limit, not when it is refused", async () => {
    const versionId = await deployed("stumbler");
    await passTime(versionId, 60_000);
    await report("stumbler", versionId, "ok", 90);
    await report("stumbler", versionId, "loadShed", 50);
    expect(await placement("stumbler")).toMatchObject({ clean_invocations: 90 });
    await report("stumbler", versionId, "exceededCpu");
    expect(await placement("stumbler")).toMatchObject({ clean_invocations: 0 });
    await report("stumbler", versionId, "ok", 99);
    expect(await placement("stumbler")).toMatchObject({ place: "probation" });
  });

  it("has the trust of the one before if its code is the same", async () => {
    const first = await deployed("heir");
    await prove("heir", first);
    const secret = { name: "KEY", text: "x", type: "secret_text" };
    expect((await call("PUT", `${scriptPath("heir")}/secrets`, secret)).success).toBe(true);
    const second = await resolve("heir");
    expect(second.versionId).not.toBe(first);
    expect(second.place?.kind).toBe("edge");
    await deploy("heir", helloForm("other code"));
    expect((await resolve("heir")).place?.kind).toBe("probation");
  });

  it("is not held responsible for the one before", async () => {
    const first = await deployed("reformed");
    await tell({ named: first, index: 2 });
    expect((await placement("reformed")).trust).toBe("convicted");
    const patch = { compatibility_date: "2026-01-02" };
    await call("PATCH", `${scriptPath("reformed")}/settings`, patch);
    expect((await placement("reformed")).trust).toBe("convicted");
    await deploy("reformed", helloForm("mended"));
    expect(await placement("reformed")).toMatchObject({ trust: "probation", convictions: 0 });
  });
});

describe("an incident", () => {
  it("moves the named version to a cell of its own, and strikes the others", async () => {
    const [culprit, bystander] = [await deployed("culprit"), await deployed("bystander")];
    expect(await tell({ named: culprit, involved: [culprit, bystander] })).toBe(204);
    const why = expect.stringMatching(/^stalled cell 1 at \d\d:\d\d:\d\dZ$/);
    const states = await pushed("culprit");
    expect(states).toMatchObject([{ place: { kind: "dedicated", why, refusedUntilMs: 0 } }]);
    expect(states[0]).not.toHaveProperty("prewarm");
    expect(await eventsOf("culprit")).toEqual(["suspect", "killed"]);
    expect(await placement("bystander")).toMatchObject({ place: "probation", trust: "probation" });
    expect((await placement("bystander")).strikes).toHaveLength(1);
    const { result } = await call("GET", `${NAMESPACE}/events?script=bystander`);
    expect(result).toMatchObject([
      { kind: "strike", detail: expect.stringMatching(/^under way when cell 1 was stalled at \d/) },
    ]);
    await tell({ involved: [culprit, bystander] });
    expect(await placement("bystander")).toMatchObject({ place: "dedicated", trust: "suspect" });
  });

  it("counts once, however often it is told", async () => {
    const [one, two] = [await deployed("told-one"), await deployed("told-two")];
    const named = crypto.randomUUID();
    const incident = { life: ++life, named, involved: [one, two], atMs: Date.now() };
    expect([await tell(incident), await tell(incident)]).toEqual([204, 204]);
    expect((await placement("told-one")).strikes).toHaveLength(1);
    expect(await eventsOf("told-one")).toEqual(["strike"]);
  });

  it("passes over versions that are gone, and over the trial cell", async () => {
    const versionId = await deployed("present");
    expect(await tell({ named: crypto.randomUUID(), involved: [versionId] })).toBe(204);
    expect((await placement("present")).strikes).toHaveLength(1);
    await tell({ process: "trial", named: versionId, certain: true });
    expect((await placement("present")).trust).toBe("probation");
  });

  it("in a dedicated cell convicts, and has the version refused for a while", async () => {
    const versionId = await deployed("convict");
    const atMs = Date.now();
    await tell({ index: 2, named: versionId, involved: [versionId], atMs });
    expect((await resolve("convict")).place?.refusedUntilMs).toBe(atMs + 1_000);
    await tell({ index: 2, involved: [versionId], atMs: atMs + 10 });
    expect((await resolve("convict")).place?.refusedUntilMs).toBe(atMs + 2_010);
    expect(await eventsOf("convict")).toEqual([
      "refused",
      "convicted",
      "refused",
      "convicted",
      "killed",
    ]);
    await prove("convict", versionId);
    expect(await placement("convict")).toMatchObject({
      place: "dedicated",
      trust: "convicted",
      convictions: 2,
      refused_until: new Date(atMs + 2_010).toISOString(),
    });
  });

  it("in an edge takes all of a few out of it, until they have proven themselves again", async () => {
    const versionId = await deployed("fallen");
    await prove("fallen", versionId);
    await report("fallen", versionId, "ok");
    await supervisorCalls();
    await tell({ process: "edge", index: 0, involved: [versionId, crypto.randomUUID()] });
    const [state] = await pushed("fallen");
    expect(state?.place).toMatchObject({
      kind: "dedicated",
      why: expect.stringMatching(/^under way when edge 0 was stalled at \d/),
    });
    // Telemetry of it counts again, although it had been settled before.
    await prove("fallen", versionId);
    await expect.poll(() => eventsOf("fallen")).toEqual(["returned", "suspect", "promoted"]);
    expect((await resolve("fallen")).place).toMatchObject({ kind: "edge" });
  });

  it("that cannot be pushed is stored, and answered so", async () => {
    const versionId = await deployed("unheard");
    await failSupervisor("/routing", 1);
    expect(await tell({ named: versionId })).toBe(503);
    await runInDurableObject(registry, (instance) => instance.alarm());
    expect(await pushed("unheard")).toMatchObject([{ place: { kind: "dedicated" } }]);
  });
});

describe("a dedicated cell", () => {
  it("is assigned to versions that have one, with their limits", async () => {
    const versionId = await deployed("celled");
    const ask = () => edgeGate.fetch(`http://hub/cell?version=${versionId}`);
    expect((await ask()).status).toBe(409);
    await call("PUT", `${scriptPath("celled")}/limits`, { cpu_ms: 70 });
    await tell({ named: versionId });
    await supervisorCalls();
    expect(await (await ask()).json()).toEqual({ index: 2, life: 7 });
    expect(await supervisorCalls()).toEqual([
      {
        path: "/cells/assign",
        body: expect.objectContaining({ versionId, memoryMb: 128, cpuMs: 70 }),
      },
    ]);
    await failSupervisor("/cells/assign", 1);
    expect((await ask()).status).toBe(503);
    const unknown = await edgeGate.fetch(`http://hub/cell?version=${crypto.randomUUID()}`);
    expect(unknown.status).toBe(404);
  });
});

describe("isolation of a namespace", () => {
  it("changes the place of all its functions at once", async () => {
    await deployed("isolated");
    const isolate = async (isolation: string | null) => {
      const { result } = await call("PUT", NAMESPACE, { isolation });
      expect(result.isolation).toBe(isolation);
      const [state] = await pushed("isolated");
      return state?.place;
    };
    const dedicated = { kind: "dedicated", why: "isolation = dedicated", refusedUntilMs: 0 };
    expect(await isolate("dedicated")).toEqual(dedicated);
    expect(await isolate("trusted")).toMatchObject({ kind: "edge", why: "isolation = trusted" });
    expect(await isolate(null)).toMatchObject({ kind: "probation" });
    expect(await isolate(null)).toBe(undefined);
    expect((await call("PUT", NAMESPACE, { isolation: "none" })).status).toBe(400);
  });

  it("goes along with whether its functions are trusted", async () => {
    await deployed("cf-reader");
    await call("PUT", NAMESPACE, { trusted_workers: true });
    expect(await pushed("cf-reader")).toMatchObject([{ trusted: true }]);
    await call("PUT", NAMESPACE, { trusted_workers: false });
    expect(await pushed("cf-reader")).toMatchObject([{ trusted: false }]);
  });
});

describe("what is shown", () => {
  it("has place and reason in lists of scripts and in metrics", async () => {
    await deployed("shown");
    const place = { kind: "probation", why: "new version" };
    expect((await call("GET", scriptPath("shown"))).result.place).toEqual(place);
    const listed = await call("GET", `${NAMESPACE}/scripts`);
    expect(listed.result).toContainEqual(expect.objectContaining({ id: "shown", place }));
    const { functions } = (await call("GET", `${NAMESPACE}/metrics`)).result;
    expect(functions).toContainEqual(expect.objectContaining({ script: "shown", place }));
  });

  it("has incidents, cells, places and changes of trust for Prometheus", async () => {
    await deployed("scraped");
    await call("PUT", `/accounts/${ACCOUNT}/workers/scripts/of-account`, helloForm("hi"));
    const text = await (await request("GET", "/../../metrics")).text();
    expect(text).toContain(
      'skep_function_place{namespace="workers",script="of-account",place="dedicated"} 1\n',
    );
    expect(text).toContain('skep_incidents_total{process="cell",kind="cpu"} 3\n');
    expect(text).toContain('skep_cells{role="spare"} 2\n');
    expect(text).toContain(
      'skep_function_place{namespace="production",script="scraped",place="probation"} 1\n',
    );
    expect(text).toMatch(/^skep_trust_changes_total\{to="convicted"\} [1-9]\d*$/m);
  });

  it("is told of Workers outside of namespaces as well", async () => {
    const account = `/accounts/${ACCOUNT}/workers`;
    await call("PUT", `${account}/scripts/counted`, helloForm("hi"));
    const place = expect.objectContaining({ kind: "dedicated" }) as unknown;
    const { functions } = (await call("GET", `${account}/metrics`)).result;
    expect(functions).toContainEqual(expect.objectContaining({ script: "counted", place }));
    const { result: events } = await call("GET", `${account}/events`);
    // Of processes perhaps, but of nobody else's functions.
    expect((events as { script: string | null }[]).filter(({ script }) => script)).toEqual([]);
    const text = await (await request("GET", "/../../metrics")).text();
    expect(text).toMatch(/^skep_function_place\{namespace="workers",script="counted",.*\} 1$/m);
    const limited = await limitedToken("elsewhere", { namespaces: ["production"] });
    const elsewhere = { authorization: `Bearer ${limited}` };
    for (const path of [`${account}/metrics`, `${account}/events`]) {
      expect((await call("GET", path, undefined, elsewhere)).status).toBe(403);
    }
    const hidden = await request("GET", "/../../metrics", { headers: elsewhere });
    expect(await hidden.text()).not.toContain('script="counted"');
  });

  it("has the newest events first, of one function or of all and of processes", async () => {
    const versionId = await deployed("logged");
    await tell({ index: 0, kind: "memory", involved: [versionId], killed: false });
    const { result } = await call("GET", `${NAMESPACE}/events?limit=2`);
    expect(result).toMatchObject([
      { kind: "suspect", script: "logged", version_id: versionId, process: "cell 0" },
      { kind: "replaced", script: null, detail: "memory: cell 0, 212 ms of CPU without progress" },
    ]);
    const later = await call("GET", `${NAMESPACE}/events?since=2999-01-01`);
    expect(later.result).toEqual([]);
    for (const query of ["limit=0", "limit=1001", "limit=x", "since=soon"]) {
      expect((await call("GET", `${NAMESPACE}/events?${query}`)).status).toBe(400);
    }
  });

  it("keeps the newest ten thousand events", async () => {
    const count = await runInDurableObject(registry, (_instance, { storage }) => {
      storage.sql.exec(
        `WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 10100)
         INSERT INTO events (at, kind, detail) SELECT 0, 'strike', '' FROM n`,
      );
    });
    expect(count).toBe(undefined);
    const versionId = await deployed("last");
    await tell({ involved: [versionId, crypto.randomUUID()] });
    const kept = await runInDurableObject(registry, (_instance, { storage }) =>
      storage.sql.exec(`SELECT COUNT(*) AS kept FROM events`).one(),
    );
    expect(kept).toEqual({ kept: 10_000 });
  });
});
