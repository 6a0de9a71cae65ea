/** Feeds of changes, on the real store. What they bring stays in their queues: nobody can deliver it here. */
import { beforeAll, describe, expect, it } from "vitest";
import { ACCOUNT, bootstrap, call, hello, hub, scriptPath, uploadForm } from "../hub/test/api.ts";
import { STORE_HEADER } from "../protocol/store.ts";
import { registryOf } from "../registry/client.ts";

const S = scriptPath("followed");
const KV = "0".repeat(32);

function binding(name: string) {
  return { type: "kv_namespace", name, namespace_id: KV };
}

async function put(key: string): Promise<void> {
  const response = await hub.STORE.fetch(`http://kv/${key}`, {
    method: "PUT",
    body: "value",
    headers: { [STORE_HEADER]: JSON.stringify({ kind: "kv", id: KV }) },
  });
  expect(response.status).toBe(200);
}

async function waiting(id: string, count: number): Promise<void> {
  const state = async () => (await call("GET", `${S}/changes/${id}`)).result.waiting as number;
  await expect.poll(state).toBe(count);
}

beforeAll(async () => {
  await bootstrap();
  const registry = registryOf(hub);
  const resource = {
    id: KV,
    accountId: ACCOUNT,
    namespaceId: null,
    kind: "kv",
    name: "kept",
  } as const;
  await registry.createResource({ ...resource, settings: {} });
  await registry.settleStore();
  const metadata = { main_module: "index.js", bindings: [binding("KEPT")] };
  const { errors } = await call("PUT", S, uploadForm(metadata, hello));
  if (errors.length > 0) throw new Error(JSON.stringify(errors));
});

describe("a feed of changes", () => {
  it("gets what changes from then on, in order, and can go back", async () => {
    await put("before");
    const made = await call("POST", `${S}/changes`, { binding: "KEPT", prefix: "a/" });
    expect(made.errors).toEqual([]);
    const { id } = made.result;
    expect(made.result).toMatchObject({ kind: "kv", prefix: "a/", actions: ["put", "delete"] });
    await put("a/1");
    await put("b/1");
    await put("a/2");
    await waiting(id, 2);
    const { position } = (await call("GET", `${S}/changes/${id}`)).result;
    await call("PUT", `${S}/changes/${id}/position`, { position });
    await waiting(id, 0);
    await call("PUT", `${S}/changes/${id}/position`, { position: position - 1 });
    await waiting(id, 1);
    await call("PUT", `${S}/changes/${id}/position`, { position: 0 });
    await waiting(id, 2);
  });

  it("stays as it is when all are put again, and goes when it is left out", async () => {
    const [{ id, position }] = (await call("GET", `${S}/changes`)).result;
    const other = { binding: "KEPT", actions: ["delete"] };
    const both = await call("PUT", `${S}/changes`, {
      changes: [{ binding: "KEPT", prefix: "a/" }, other],
    });
    expect(both.result).toMatchObject([{ id }, { actions: ["delete"] }]);
    expect(both.result[0].position).toBe(position);
    const one = await call("PUT", `${S}/changes`, { changes: [other] });
    expect(one.result).toMatchObject([{ actions: ["delete"] }]);
    expect((await call("GET", `${S}/changes/${id}`)).status).toBe(404);
    expect((await call("DELETE", `${S}/changes/${one.result[0].id}`)).errors).toEqual([]);
    expect((await call("GET", `${S}/changes`)).result).toEqual([]);
  });

  it.each([
    [{ binding: "NONE" }, "body.binding: 'NONE' is not a binding of the Worker"],
    [{ binding: "KEPT", actions: ["insert"] }, "body.actions: 'insert' does not happen there"],
    [{ binding: "KEPT", tables: ["t"] }, "body.tables: only a D1 database has tables"],
    [{ binding: "KEPT", batch_size: 0 }, "body.batch_size"],
    [{ binding: "KEPT", table: "t" }, "body"],
  ])("%j is refused", async (body, says) => {
    const { status, errors } = await call("POST", `${S}/changes`, body);
    expect(status).toBe(400);
    expect(errors[0]?.message).toContain(says);
  });

  it("comes with an upload, and stays with one that says nothing of it", async () => {
    const metadata = { main_module: "index.js", bindings: [binding("KEPT")] };
    const changes = [{ binding: "KEPT", prefix: "u/" }];
    const upload = (more: object) => call("PUT", S, uploadForm({ ...metadata, ...more }, hello));
    const feeds = async () => (await call("GET", `${S}/changes`)).result;
    expect((await upload({ changes })).errors).toEqual([]);
    expect(await feeds()).toMatchObject([{ prefix: "u/" }]);
    await upload({});
    expect(await feeds()).toMatchObject([{ prefix: "u/" }]);
    const refused = await upload({ changes: [{ binding: "NONE" }] });
    expect(refused.errors[0]?.message).toContain("metadata.changes[0].binding: 'NONE'");
    await upload({ changes: [] });
    expect(await feeds()).toEqual([]);
  });

  it("goes with its function", async () => {
    const { id } = (await call("POST", `${S}/changes`, { binding: "KEPT" })).result;
    await put("last");
    await waiting(id, 1);
    await call("DELETE", S);
    const metadata = { main_module: "index.js", bindings: [binding("KEPT")] };
    await call("PUT", S, uploadForm(metadata, hello));
    expect((await call("GET", `${S}/changes`)).result).toEqual([]);
    const left = await registryOf(hub).resources({ accountId: ACCOUNT, kind: "queue" });
    expect(left).toEqual([]);
  });
});
