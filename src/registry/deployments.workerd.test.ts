import { runInDurableObject } from "cloudflare:test";
import { beforeAll, describe, expect, it } from "vitest";
import { bootstrap, deploy, edgeGate, helloForm, hub, supervisorCalls } from "../hub/test/api.ts";
import type { RoutingUpdate, ScriptState } from "../protocol/routing.ts";
import { registryOf } from "./client.ts";
import type { CodeRecord, Release } from "./records.ts";

const registry = registryOf(hub);
let namespaceId = "";

beforeAll(async () => {
  await bootstrap();
  namespaceId = (await registry.namespaceId("production"))!;
});

const author = { author: "test", source: "api" };

function code(blob: string): CodeRecord {
  const syntax = "modules";
  return { blob, syntax, mainModule: "x", startupTimeMs: 1, handlers: ["fetch"], exports: [] };
}

/** Returns the version's id. */
async function release(script: string, change: Partial<Release>): Promise<string> {
  const versionId = crypto.randomUUID();
  const released = await registry.release({
    namespaceId,
    script,
    versionId,
    deploy: true,
    code: code("blob"),
    bindings: { mode: "keep" },
    settings: {},
    scriptSettings: {},
    annotations: {},
    ...author,
    ...change,
  });
  if (!released.ok) throw new Error(released.failure.reason);
  return versionId;
}

function put(script: string, ...shares: readonly (readonly [string, number])[]) {
  return registry.deploy(namespaceId, script, {
    shares: shares.map(([versionId, percentage]) => ({ versionId, percentage })),
    annotations: {},
    ...author,
  });
}

async function inForce(script: string) {
  const found = await registry.script(namespaceId, script);
  if (!found.ok) throw new Error(found.failure.reason);
  return found.value;
}

async function resolve(script: string): Promise<ScriptState> {
  return (await edgeGate.fetch(`http://hub/resolve?namespace=production&script=${script}`)).json();
}

const secret = (text: string) =>
  ({ mode: "secrets", secrets: { KEY: text } }) satisfies Release["bindings"];

describe("versions that are only uploaded", () => {
  it("change nothing of what serves", async () => {
    const first = await release("quiet", {});
    const second = await release("quiet", { deploy: false, scriptSettings: { tags: ["x"] } });
    expect((await registry.versions(namespaceId, "quiet")).map(({ id }) => id)).toEqual([
      second,
      first,
    ]);
    expect(await inForce("quiet")).toMatchObject({
      version: { id: first },
      deployment: { shares: [{ versionId: first, percentage: 100 }] },
      settings: { tags: [] },
    });
    expect(await registry.deployments(namespaceId, "quiet")).toHaveLength(1);
    expect((await resolve("quiet")).versionId).toBe(first);
  });

  it("need a script", async () => {
    await expect(release("nobody", { deploy: false })).rejects.toThrow("unknown-script");
  });

  it("build on the newest version, not on the one in force", async () => {
    await release("grows", {});
    await release("grows", { deploy: false, code: null, bindings: secret("a") });
    const third = await release("grows", { deploy: false, code: code("other") });
    const version = await registry.scriptVersion(namespaceId, "grows", third);
    expect(version).toMatchObject({
      ok: true,
      value: { number: 3, bindings: [{ type: "secret_text", name: "KEY", sealed: "a" }] },
    });
    expect((await inForce("grows")).version.bindings).toEqual([]);
  });

  it("do not come into force by a change that keeps their code", async () => {
    const first = await release("held", {});
    const second = await release("held", { deploy: false, code: code("new") });
    const change = { code: null, bindings: secret("a") };
    await expect(release("held", change)).rejects.toThrow("newest-not-deployed");
    expect((await put("held", [first, 90], [second, 10])).ok).toBe(true);
    await expect(release("held", change)).rejects.toThrow("newest-not-deployed");
    expect((await put("held", [second, 100])).ok).toBe(true);
    const third = await release("held", change);
    expect((await inForce("held")).version).toMatchObject({ id: third, code: { blob: "new" } });
  });

  it("are of the code that they are based on, or refused", async () => {
    await release("raced", {});
    await release("raced", { deploy: false, code: code("theirs") });
    const mine = { deploy: false, code: code("blob"), basedOnBlob: "blob" };
    await expect(release("raced", mine)).rejects.toThrow("changed-meanwhile");
  });
});

describe("deployments", () => {
  it("give the script the version with the largest share, and tell the edges", async () => {
    const first = await release("split", {});
    const second = await release("split", { deploy: false, code: code("b") });
    await supervisorCalls();
    const stored = await put("split", [first, 30], [second, 70]);
    if (!stored.ok) throw new Error(stored.failure.reason);
    expect(stored.value.value.shares).toEqual([
      { versionId: first, percentage: 30 },
      { versionId: second, percentage: 70 },
    ]);
    await registry.settle(stored.value.generation);
    expect((await inForce("split")).version.id).toBe(second);
    const pushes = await supervisorCalls();
    const scripts = pushes.flatMap(({ body }) => (body as RoutingUpdate).scripts ?? []);
    expect(scripts.find(({ script }) => script === "split")).toMatchObject({
      versionId: second,
      prewarm: true,
    });
  });

  it("roll back to a version as it was", async () => {
    const first = await release("back", { bindings: secret("old") });
    await release("back", { code: code("b"), bindings: secret("new") });
    await put("back", [first, 100]);
    expect((await inForce("back")).version).toMatchObject({
      id: first,
      code: { blob: "blob" },
      bindings: [{ sealed: "old" }],
    });
    const deployments = await registry.deployments(namespaceId, "back");
    expect(deployments.map(({ shares }) => shares[0]?.versionId === first)).toEqual([
      true,
      false,
      true,
    ]);
  });

  it("are refused if they make no sense", async () => {
    const first = await release("strict", {});
    const second = await release("strict", { deploy: false });
    const third = await release("strict", { deploy: false });
    const foreign = await release("strict-2", {});
    const reason = async (...shares: Parameters<typeof put>[1][]) => {
      const outcome = await put("strict", ...shares);
      return outcome.ok ? "ok" : outcome.failure.reason;
    };
    expect(await reason()).toBe("bad-shares");
    expect(await reason([first, 99])).toBe("bad-shares");
    expect(await reason([first, 50], [second, 50.1])).toBe("bad-shares");
    expect(await reason([first, 50], [first, 50])).toBe("bad-shares");
    expect(await reason([first, -1], [second, 101])).toBe("bad-shares");
    expect(await reason([first, Number.NaN], [second, 100])).toBe("bad-shares");
    expect(await reason([first, 40], [second, 40], [third, 20])).toBe("bad-shares");
    expect(await reason([foreign, 100])).toBe("unknown-version");
    expect(await reason([first, 33.3], [second, 66.7])).toBe("ok");
    expect(await reason([first, 0], [second, 100])).toBe("ok");
  });

  it("of the past can be deleted, the one in force cannot", async () => {
    await release("forgets", {});
    await release("forgets", {});
    const [newest, oldest] = await registry.deployments(namespaceId, "forgets");
    expect(await registry.deleteDeployment(namespaceId, "forgets", newest!.id)).toMatchObject({
      failure: { reason: "deployment-in-force" },
    });
    expect(await registry.deleteDeployment(namespaceId, "forgets", oldest!.id)).toEqual({
      ok: true,
      value: null,
    });
    expect(await registry.deployments(namespaceId, "forgets")).toEqual([newest]);
    expect(await registry.deleteDeployment(namespaceId, "forgets", oldest!.id)).toMatchObject({
      failure: { reason: "unknown-deployment" },
    });
  });

  it("are kept up to a hundred, and leave exactly the versions in use unmarked", async () => {
    const first = await release("long", {});
    const second = await release("long", { deploy: false });
    for (let n = 0; n < 60; n++) {
      await put("long", [first, 100]);
      await put("long", [first, 50], [second, 50]);
    }
    expect(await registry.deployments(namespaceId, "long")).toHaveLength(100);
    const marks = async () => {
      const rows = await runInDurableObject(
        hub.REGISTRY.getByName("registry"),
        (_instance, { storage }) =>
          storage.sql
            .exec<{ id: string; superseded_on: number | null }>(
              `SELECT id, superseded_on FROM versions WHERE id IN (?, ?) ORDER BY number`,
              first,
              second,
            )
            .toArray(),
      );
      return rows.map((row) => row.superseded_on === null);
    };
    expect(await marks()).toEqual([true, true]);
    await put("long", [second, 100]);
    expect(await marks()).toEqual([false, true]);
  });
});

describe("trust", () => {
  it("is that of the version of the script with the same code that is convicted, or newest", async () => {
    const { result } = await deploy("trusted", helloForm("trusted"));
    const version = { ...code(result.etag) };
    await runInDurableObject(hub.REGISTRY.getByName("registry"), (_instance, { storage }) => {
      storage.sql.exec(
        `UPDATE trust SET state = 'convicted' WHERE version_id = ?`,
        result.deployment_id,
      );
    });
    await release("trusted", { code: code("something else") });
    expect((await inForce("trusted")).trust.state).toBe("probation");
    await release("trusted", { code: version });
    expect((await inForce("trusted")).trust.state).toBe("convicted");
    await runInDurableObject(hub.REGISTRY.getByName("registry"), (_instance, { storage }) => {
      storage.sql.exec(
        `UPDATE trust SET state = 'proven' WHERE version_id <> ?`,
        result.deployment_id,
      );
    });
    await release("trusted", { code: version });
    expect((await inForce("trusted")).trust.state).toBe("convicted");
    await release("trusted", { code: code("something else") });
    expect((await inForce("trusted")).trust.state).toBe("proven");
  });
});

describe("many at once", () => {
  it("are applied one after the other, and the last one wins", async () => {
    const many = 50;
    const ids = await Promise.all(
      Array.from({ length: many }, (_, n) =>
        release("crowded", { code: code(`code ${n}`), annotations: { n: String(n) } }),
      ),
    );
    const versions = await registry.versions(namespaceId, "crowded");
    expect(new Set(versions.map(({ id }) => id))).toEqual(new Set(ids));
    expect(versions.map(({ number }) => number)).toEqual(
      Array.from({ length: many }, (_, n) => many - n),
    );
    const deployments = await registry.deployments(namespaceId, "crowded");
    expect(deployments.map(({ shares }) => shares[0]?.versionId)).toEqual(
      versions.map(({ id }) => id),
    );
    expect((await inForce("crowded")).version.id).toBe(versions[0]?.id);
  });
});
