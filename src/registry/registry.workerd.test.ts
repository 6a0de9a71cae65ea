import { runDurableObjectAlarm, runInDurableObject } from "cloudflare:test";
import { beforeAll, describe, expect, it, onTestFinished } from "vitest";
import type { ScriptState } from "../protocol/routing.ts";
import {
  ACCOUNT,
  type Answer,
  bootstrap,
  call,
  deploy,
  edgeGate,
  failSupervisor,
  helloForm,
  hub,
  NAMESPACES,
  scriptPath,
  supervisorCalls,
} from "../hub/test/api.ts";
import { decodeBundle } from "../protocol/bundle.ts";
import { registryOf } from "./client.ts";
import { migrate } from "./schema.ts";

const registry = hub.REGISTRY.getByName("registry");

beforeAll(async () => {
  await bootstrap();
});

async function resolve(script: string, namespace = "production"): Promise<ScriptState> {
  return (
    await edgeGate.fetch(`http://hub/resolve?namespace=${namespace}&script=${script}`)
  ).json();
}

async function bundleOf(script: string) {
  const { versionId } = await resolve(script);
  const response = await edgeGate.fetch(`http://hub/bundles/${versionId}`);
  return decodeBundle(new Uint8Array(await response.arrayBuffer()));
}

/** Rows of a query on the registry's own database. */
function query<Row extends Record<string, SqlStorageValue>>(sql: string, ...values: unknown[]) {
  return runInDurableObject(registry, (_instance, { storage }) =>
    storage.sql.exec<Row>(sql, ...values).toArray(),
  );
}

/** As if so much time had passed for everything that the registry remembers. */
async function passTime(ms: number): Promise<void> {
  await query(
    `UPDATE versions SET created_on = created_on - ?1, superseded_on = superseded_on - ?1`,
    ms,
  );
  await query(`UPDATE uploads SET created_on = created_on - ?`, ms);
}

function alarm(): Promise<void> {
  return runInDurableObject(registry, (instance) => instance.alarm());
}

function sweep(): Promise<void> {
  return runInDurableObject(registry, (instance) => instance.sweep());
}

async function blobExists(hash: string): Promise<boolean> {
  const response = await hub.BLOBS.fetch(`http://blobs/${hash}`);
  await response.body?.cancel();
  return response.ok;
}

describe("simultaneous changes of one script", () => {
  it("make fifty versions of fifty deploys, the last of which is in force", async () => {
    const answers = await Promise.all(
      Array.from({ length: 50 }, (_, n) => deploy("crowded", helloForm(`version ${n}`))),
    );
    expect(answers.map(({ errors }) => errors).flat()).toEqual([]);
    const ids = new Set(answers.map(({ result }) => result.deployment_id));
    expect(ids.size).toBe(50);
    const rows = await query<{ id: string; number: number }>(
      `SELECT versions.id, number FROM versions JOIN scripts ON scripts.id = script_id
       WHERE scripts.name = 'crowded' ORDER BY number`,
    );
    expect(rows.map(({ number }) => number)).toEqual(Array.from({ length: 50 }, (_, n) => n + 1));
    expect((await resolve("crowded")).versionId).toBe(rows.at(-1)?.id);
  });

  it("lose neither a secret nor an upload", async () => {
    await deploy("raced", helloForm("first"));
    const names = Array.from({ length: 15 }, (_, n) => `SECRET_${n}`);
    const answers = await Promise.all([
      ...names.map((name) =>
        call("PUT", `${scriptPath("raced")}/secrets`, {
          name,
          text: `text of ${name}`,
          type: "secret_text",
        }),
      ),
      ...names.map((_, n) =>
        deploy(
          "raced",
          helloForm("later", { bindings: [{ type: "plain_text", name: "N", text: `${n}` }] }),
        ),
      ),
    ]);
    expect(answers.map(({ errors }) => errors).flat()).toEqual([]);
    const { env, modules } = await bundleOf("raced");
    expect(Object.keys(env).sort()).toEqual(["N", ...names].sort());
    for (const name of names)
      expect(env[name]).toEqual({ type: "value", value: `text of ${name}` });
    expect(new TextDecoder().decode(modules[0]?.content)).toContain("later");
  });

  it("of settings and of code do not undo each other", async () => {
    await deploy("settled", helloForm("one"));
    const path = scriptPath("settled");
    const content = helloForm("two");
    content.set("metadata", JSON.stringify({ main_module: "index.js" }));
    const changes: (() => Promise<Answer>)[] = [
      () => call("PATCH", `${path}/settings`, { compatibility_date: "2026-02-02" }),
      () => call("PATCH", `${path}/settings`, { limits: { cpu_ms: 77 } }),
      () => call("PATCH", `${path}/settings`, { compatibility_flags: ["nodejs_compat"] }),
    ];
    expect(
      (await Promise.all(changes.map((change) => change()))).map(({ errors }) => errors),
    ).toEqual([[], [], []]);
    expect((await call("GET", `${path}/settings`)).result).toMatchObject({
      compatibility_date: "2026-02-02",
      compatibility_flags: ["nodejs_compat"],
      limits: { cpu_ms: 77 },
    });
    const later = [
      call("PATCH", `${path}/settings`, { limits: { cpu_ms: 78 } }),
      call("PUT", `${path}/content`, content),
    ];
    // The code was changed while the settings were tried, or they came first.
    const [patched] = await Promise.all(later);
    const { result } = await call("GET", `${path}/settings`);
    expect(result.limits).toEqual({ cpu_ms: patched?.success ? 78 : 77 });
  });

  it("of tags do not undo each other", async () => {
    await deploy("tagged", helloForm("one"));
    const tags = ["a", "b", "c", "d", "e", "f", "g", "h"];
    await Promise.all(tags.map((tag) => call("PUT", `${scriptPath("tagged")}/tags/${tag}`)));
    const { result } = await call("GET", `${scriptPath("tagged")}/tags`);
    expect(result.sort()).toEqual(tags);
  });
});

describe("secrets at rest", () => {
  it("are not readable in the database or in blobs", async () => {
    const bindings = [{ type: "secret_text", name: "KEY", text: "needle-in-the-hay" }];
    const { result } = await deploy("sealed", helloForm("one", { bindings }));
    const [row] = await query<{ bindings: string }>(
      `SELECT bindings FROM versions WHERE id = ?`,
      result.deployment_id,
    );
    expect(row?.bindings).toContain("KEY");
    expect(row?.bindings).not.toContain("needle");
    const blob = await (await hub.BLOBS.fetch(`http://blobs/${result.etag}`)).text();
    expect(blob).toContain("new Response");
    expect(blob).not.toContain("needle");
  });

  it("do not open under another script", async () => {
    const bindings = [{ type: "secret_text", name: "KEY", text: "x" }];
    const { result } = await deploy("owner", helloForm("one", { bindings }));
    const thief = await deploy("thief", helloForm("one"));
    await query(
      `UPDATE versions SET bindings = (SELECT bindings FROM versions WHERE id = ?1) WHERE id = ?2`,
      result.deployment_id,
      thief.result.deployment_id,
    );
    await expect(
      edgeGate.fetch(`http://hub/bundles/${thief.result.deployment_id}`),
    ).rejects.toThrow("cannot be opened");
  });
});

describe("the sweep", () => {
  it("keeps the newest hundred versions and those in use, and no blob that none of them names", async () => {
    const deployed = [];
    for (let n = 1; n <= 4; n++)
      deployed.push((await deploy("swept", helloForm(`sweep ${n}`))).result);
    const client = registryOf(hub);
    const { id } = await client.accountNamespace(ACCOUNT);
    expect(await client.versions(id, "swept")).toEqual([]);
    const namespaceId = (await client.namespaceId("production"))!;
    const rollback = {
      shares: [{ versionId: deployed[0].deployment_id, percentage: 100 }],
      annotations: {},
      author: "test",
      source: "api",
    };
    expect((await client.deploy(namespaceId, "swept", rollback)).ok).toBe(true);
    // As if ninety-nine had been uploaded between the third and the last.
    await query(`UPDATE versions SET number = 103 WHERE id = ?`, deployed[3].deployment_id);
    await runDurableObjectAlarm(registry);
    expect(await blobExists(deployed[1].etag)).toBe(true);
    await passTime(120_000);
    await sweep();
    const kept = await client.versions(namespaceId, "swept");
    expect(kept.map(({ number }) => number)).toEqual([103, 1]);
    const there = await Promise.all(deployed.map(({ etag }) => blobExists(etag)));
    expect(there).toEqual([true, false, false, true]);
    // Deployments of the past go with their versions.
    const deployments = await client.deployments(namespaceId, "swept");
    expect(deployments.map(({ shares }) => shares[0]?.versionId)).toEqual([
      deployed[0].deployment_id,
      deployed[3].deployment_id,
      deployed[0].deployment_id,
    ]);
  });

  it("takes the blob of a refused upload", async () => {
    const broken = helloForm("");
    broken.set(
      "index.js",
      new File([`throw new Error("broken")`], "index.js", {
        type: "application/javascript+module",
      }),
    );
    const before = await query(`SELECT hash FROM blobs`);
    expect((await deploy("broken", broken)).status).toBe(400);
    expect((await query(`SELECT hash FROM blobs`)).length).toBe(before.length + 1);
    await sweep();
    expect((await query(`SELECT hash FROM blobs`)).length).toBe(before.length);
  });

  it("never takes the blob of a deploy that happens at the same time", async () => {
    for (let n = 0; n < 10; n++) {
      const first = await deploy("shared-code", helloForm("shared"));
      await call("DELETE", scriptPath("shared-code"));
      const [again] = await Promise.all([deploy("shared-code", helloForm("shared")), sweep()]);
      expect(again.result.etag).toBe(first.result.etag);
      expect(await blobExists(first.result.etag)).toBe(true);
    }
  });

  it("leaves the blob of an upload that is under way", async () => {
    const hash = "a".repeat(64);
    await hub.BLOBS.fetch(`http://blobs/${hash}`, { method: "PUT", body: "code" });
    await registry.holdBlob("version-under-way", hash);
    await sweep();
    expect(await blobExists(hash)).toBe(true);
    await passTime(2 * 60 * 60_000);
    await sweep();
    expect(await blobExists(hash)).toBe(false);
  });
});

it("a sweep, which looks at every blob, does not come with every alarm", async () => {
  await sweep();
  await deploy("unswept", helloForm("unswept"));
  await query(`INSERT INTO blobs (hash, created_on) VALUES ('unnamed', 0)`);
  await alarm();
  await alarm();
  expect(await query(`SELECT hash FROM blobs WHERE hash = 'unnamed'`)).toHaveLength(1);
  const wake = await runInDurableObject(registry, (_instance, { storage }) => storage.getAlarm());
  expect(wake).not.toBeNull();
  await query(`DELETE FROM blobs WHERE hash = 'unnamed'`);
});

describe("a change that the edges did not get", () => {
  it("is delivered by the alarm", async () => {
    await failSupervisor("/routing", 1);
    expect((await deploy("late", helloForm("one"))).status).toBe(503);
    await supervisorCalls();
    await alarm();
    const [push] = await supervisorCalls();
    const { versionId } = await resolve("late");
    expect(push?.body).toMatchObject({ scripts: [{ script: "late", versionId }] });
    expect(await query(`SELECT * FROM outbox`)).toEqual([]);
  });

  it("is stored together with an alarm that delivers it", async () => {
    const client = registryOf(hub);
    const { result } = await call("POST", NAMESPACES, { name: "alarmed" });
    expect(result.namespace_name).toBe("alarmed");
    const scheduled = await runInDurableObject(registry, async (instance, { storage }) => {
      await storage.deleteAlarm();
      await instance.alarm();
      instance.createNamespace("account-1", "alarmed-2", "test");
      return storage.getAlarm();
    });
    expect(scheduled).not.toBeNull();
    onTestFinished(async () => {
      await client.deleteNamespace("account-1", "alarmed-2");
    });
  });
});

describe("a database of the first schema", () => {
  it("is brought up to date with every version on probation", async () => {
    const old = hub.REGISTRY.getByName("old");
    const rows = await runInDurableObject(old, async (_instance, { storage }) => {
      const { sql } = storage;
      await storage.deleteAll();
      migrate(storage, 1);
      sql.exec(`
        INSERT INTO accounts VALUES ('a', 'A', 0);
        INSERT INTO namespaces VALUES ('n', 'a', 'ns', 0, 0, 'x', 0, 'x');
        INSERT INTO scripts VALUES ('s', 'n', 'f', 'v', '[]', 0, NULL, 0, 0);
        INSERT INTO versions VALUES ('v', 's', 1, 0, NULL, 'x', 'api', 'b', '{}', '{}', '[]', '{}');
      `);
      migrate(storage);
      return sql
        .exec<{ state: string; limits: string }>(
          `SELECT state, scripts.limits FROM trust JOIN scripts ON scripts.version_id = trust.version_id`,
        )
        .toArray();
    });
    expect(rows).toEqual([{ state: "probation", limits: "{}" }]);
    expect((await old.resolve("ns", "f")).place).toMatchObject({ kind: "probation" });
  });
});

describe("a namespace that is renamed", () => {
  it("takes its scripts and routes along, with their secrets", async () => {
    await call("POST", NAMESPACES, { name: "before" });
    const bindings = [{ type: "secret_text", name: "KEY", text: "kept" }];
    await call("PUT", scriptPath("mover", "before"), helloForm("one", { bindings }));
    await supervisorCalls();
    const renamed = await call("PUT", `${NAMESPACES}/before`, { name: "after" });
    expect(renamed.result).toMatchObject({ namespace_name: "after", script_count: 1 });
    const [push] = await supervisorCalls();
    const { versionId } = await resolve("mover", "after");
    expect(versionId).not.toBeNull();
    expect(push?.body).toMatchObject({
      scripts: expect.arrayContaining([
        expect.objectContaining({ namespace: "before", script: "mover", versionId: null }),
        expect.objectContaining({ namespace: "after", script: "mover", versionId }),
      ]),
    });
    const response = await edgeGate.fetch(`http://hub/bundles/${versionId}`);
    expect(decodeBundle(new Uint8Array(await response.arrayBuffer())).env["KEY"]).toEqual({
      type: "value",
      value: "kept",
    });
  });
});
