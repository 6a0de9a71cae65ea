/** What edges are told when a script has several versions: their shares, and the previews of single ones. */
import { beforeAll, beforeEach, describe, expect, it } from "vitest";
import type { ScriptState } from "../protocol/routing.ts";
import {
  ACCOUNT,
  adminGate,
  bootstrap,
  call,
  edgeGate,
  helloForm,
  hub,
  NAMESPACES,
  scriptPath,
  supervisorCalls,
} from "./test/api.ts";

beforeAll(async () => {
  await bootstrap();
});

beforeEach(async () => {
  await supervisorCalls();
});

async function resolve(name: string, namespace = "production"): Promise<ScriptState> {
  return (await edgeGate.fetch(`http://hub/resolve?namespace=${namespace}&script=${name}`)).json();
}

/** Deploys, and returns the version. */
async function deployed(path: string): Promise<string> {
  const { result, errors } = await call("PUT", path, helloForm("one"));
  expect(errors).toEqual([]);
  return result.deployment_id;
}

/** Uploads only. Each has other code, and so trust of its own. */
async function uploaded(path: string, alias?: string): Promise<string> {
  const annotations = alias === undefined ? {} : { "workers/alias": alias };
  const form = helloForm(crypto.randomUUID(), { annotations });
  const { result, errors } = await call("POST", `${path}/versions`, form);
  expect(errors).toEqual([]);
  return result.id;
}

async function share(path: string, shares: Readonly<Record<string, number>>): Promise<void> {
  const versions = Object.entries(shares).map(([version_id, percentage]) => {
    return { version_id, percentage };
  });
  const body = { strategy: "percentage", versions };
  const { errors } = await call("POST", `${path}/deployments`, body);
  expect(errors).toEqual([]);
}

/** The states in the pushes since the last time, by name. */
async function pushed(): Promise<Record<string, ScriptState>> {
  const calls = await supervisorCalls();
  const states = calls.flatMap(({ body }) => {
    return (body as { scripts?: ScriptState[] } | undefined)?.scripts ?? [];
  });
  return Object.fromEntries(states.map((state) => [state.script, state]));
}

async function tellCrash(versionId: string): Promise<void> {
  const incident = {
    kind: "cpu",
    atMs: Date.now(),
    process: "cell",
    index: 1,
    life: Math.floor(Math.random() * 1e9),
    killed: true,
    named: versionId,
    certain: true,
    involved: [],
    detail: "212 ms of CPU without progress",
  };
  const body = JSON.stringify(incident);
  await adminGate.fetch("http://hub/incident", { method: "POST", body });
}

const prefix = (versionId: string) => versionId.slice(0, 8);

describe("versions with shares", () => {
  it("are told with place and limits of each, oldest first; one version as ever", async () => {
    const path = scriptPath("shared");
    const first = await deployed(path);
    expect(await resolve("shared")).not.toHaveProperty("shares");
    const second = await uploaded(path);
    await share(path, { [second]: 60, [first]: 40 });
    const { shares, versionId } = await resolve("shared");
    expect(versionId).toBe(second);
    expect(shares).toMatchObject([
      { versionId: first, percentage: 40, place: { kind: "probation" } },
      { versionId: second, percentage: 60, limits: { cpu_ms: expect.any(Number) } },
    ]);
    const { shared } = await pushed();
    expect(shared).toMatchObject({ prewarm: true, shares });
    await share(path, { [second]: 100 });
    expect((await pushed())["shared"]).not.toHaveProperty("shares");
  });

  it("are told anew when one of them loses trust, also if it is not the largest", async () => {
    const path = scriptPath("canary");
    const first = await deployed(path);
    const second = await uploaded(path);
    await share(path, { [first]: 90, [second]: 10 });
    await pushed();
    await tellCrash(second);
    expect((await pushed())["canary"]?.shares).toMatchObject([
      { versionId: first, place: { kind: "probation" } },
      { versionId: second, place: { kind: "dedicated" } },
    ]);
    const cell = await hub.REGISTRY.getByName("registry").cellRequest(second);
    expect(cell).toMatchObject({ value: { isMistrusted: true, isPreview: false } });
  });
});

describe("a preview", () => {
  it("leads to one version by its id or alias, deployed or not", async () => {
    const path = scriptPath("previewed");
    const first = await deployed(path);
    const second = await uploaded(path, "next-try");
    expect(await resolve(`${prefix(second)}-previewed`)).toMatchObject({
      script: `${prefix(second)}-previewed`,
      versionId: second,
      previewOf: "previewed",
    });
    expect((await resolve(`${prefix(first)}-previewed`)).versionId).toBe(first);
    expect((await resolve("next-try-previewed")).versionId).toBe(second);
    expect((await resolve("previewed")).versionId).toBe(first);
    for (const name of ["try-previewed", "00000000-previewed", "-previewed", "next-try-"]) {
      expect(await resolve(name)).toMatchObject({ versionId: null });
    }
  });

  it("that is an alias moves with each upload, and edges are told", async () => {
    const path = scriptPath("moving");
    await deployed(path);
    await uploaded(path, "stage");
    await pushed();
    const second = await uploaded(path, "stage");
    expect((await pushed())["stage-moving"]?.versionId).toBe(second);
  });

  it("gives way to a script that is called so, and comes back after it", async () => {
    await deployed(scriptPath("home"));
    const version = await uploaded(scriptPath("home"), "my");
    expect((await resolve("my-home")).versionId).toBe(version);
    const other = await deployed(scriptPath("my-home"));
    expect((await pushed())["my-home"]).toMatchObject({ versionId: other });
    await call("DELETE", scriptPath("my-home"));
    expect((await pushed())["my-home"]).toMatchObject({ versionId: version, previewOf: "home" });
  });

  it("changes with its script: limits, trust, the namespace, its end", async () => {
    await call("POST", NAMESPACES, { name: "stage" });
    const path = scriptPath("follows", "stage");
    await deployed(path);
    const version = await uploaded(path);
    const name = `${prefix(version)}-follows`;
    // Nobody has asked for it, so nobody is told.
    await call("PUT", `${path}/limits`, { cpu_ms: 20 });
    expect(Object.keys(await pushed())).toEqual(["follows"]);
    await resolve(name, "stage");
    await call("PUT", `${path}/limits`, { cpu_ms: 30 });
    expect((await pushed())[name]?.limits?.cpu_ms).toBe(30);
    await tellCrash(version);
    expect((await pushed())[name]?.place?.kind).toBe("dedicated");
    await call("PUT", `${NAMESPACES}/stage`, { isolation: "dedicated" });
    expect((await pushed())[name]?.place?.kind).toBe("dedicated");
    await call("DELETE", `${NAMESPACES}/stage`);
    expect((await pushed())[name]?.versionId).toBeNull();
  });
});

describe("an account Worker", () => {
  const worker = `/accounts/${ACCOUNT}/workers/scripts/shop`;

  it("says whether its own name leads to it, and that dispatchers do not", async () => {
    await deployed(worker);
    expect(await resolve("shop", "workers")).toMatchObject({ isAccountWorker: true });
    await call("POST", `${worker}/subdomain`, { enabled: false, previews_enabled: true });
    expect((await pushed())["shop"]).toMatchObject({ workersDev: false });
    const version = await uploaded(worker);
    expect(await resolve(`${prefix(version)}-shop`, "workers")).not.toHaveProperty("workersDev");
  });

  it("has previews as long as they are on", async () => {
    await deployed(worker);
    const version = await uploaded(worker, "next");
    expect((await resolve("next-shop", "workers")).versionId).toBe(version);
    await call("POST", `${worker}/subdomain`, { enabled: true, previews_enabled: false });
    expect((await pushed())["next-shop"]?.versionId).toBeNull();
    await call("POST", `${worker}/subdomain`, { enabled: true, previews_enabled: true });
    expect((await pushed())["next-shop"]?.versionId).toBe(version);
    await call("DELETE", worker);
    expect((await pushed())["next-shop"]?.versionId).toBeNull();
  });
});
