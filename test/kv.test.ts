/** KV on the real platform: by functions in cells and edges, by the real wrangler and the official SDK, and over kills. */
import { readdir, stat } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { readProcessList } from "../src/supervisor/process-list.ts";
import { startPlatform, uploadForm, type Platform } from "./platform.ts";
import { all, sdkFor } from "./sdk-client.ts";
import { createProject, wrangler, type WranglerRun } from "./wrangler.ts";

const KV = "/storage/kv/namespaces";

const FUNCTION = `
  export default {
    async fetch(request, env) {
      const { pathname, searchParams } = new URL(request.url);
      const key = searchParams.get("key");
      try {
        if (pathname === "/put") await env.KV.put(key, request.body ?? "", { metadata: { by: "function" } });
        if (pathname === "/delete") await env.KV.delete(key);
        if (pathname === "/list") return Response.json(await env.KV.list());
        return Response.json(await env.KV.getWithMetadata(key));
      } catch (error) {
        return new Response(error.name + ": " + error.message, { status: 500 });
      }
    },
  };`;

let platform: Platform;
let directory: string;

beforeAll(async () => {
  platform = await startPlatform();
  directory = await createProject({ "large.bin": new Uint8Array(200_000).fill(7) });
});

afterAll(() => platform.stop());

async function make(title: string): Promise<string> {
  const response = await platform.api("POST", KV, { title });
  return ((await response.json()) as { result: { id: string } }).result.id;
}

async function deploy(name: string, id: string): Promise<void> {
  const bindings = [{ type: "kv_namespace", name: "KV", namespace_id: id }];
  await platform.deploy(name, uploadForm(FUNCTION, { bindings }));
}

/** As a person sees it: what it says of itself goes to standard error. */
async function kv(...args: string[]): Promise<WranglerRun> {
  return wrangler(directory, platform.wranglerEnv, "kv", ...args);
}

async function filesBelow(path: string): Promise<number> {
  const entries = await readdir(path, { recursive: true, withFileTypes: true });
  return entries.filter((entry) => entry.isFile()).length;
}

describe("a function", () => {
  test("keeps values, small and large, which the API sees", async () => {
    const id = await make("of a function");
    await deploy("keeper", id);
    const put = await platform.fetch("keeper", "/put?key=small", { method: "POST", body: "hi" });
    expect(await put.json()).toMatchObject({ value: "hi", metadata: { by: "function" } });
    const large = "x".repeat(300_000);
    await platform.fetch("keeper", "/put?key=large", { method: "POST", body: large });
    expect(await (await platform.api("GET", `${KV}/${id}/values/large`)).text()).toBe(large);
    await platform.api("PUT", `${KV}/${id}/bulk`, [{ key: "by api", value: "there" }]);
    const got = await platform.fetch("keeper", "/get?key=by%20api");
    expect(await got.json()).toMatchObject({ value: "there" });
  });

  test("is told what it may keep, and reads on", async () => {
    const made = await platform.api("POST", `${KV}?dispatch_namespace=production`, {
      title: "own",
    });
    const own = ((await made.json()) as { result: { id: string } }).result.id;
    await deploy("limited", own);
    await platform.fetch("limited", "/put?key=one", { method: "POST", body: "1" });
    // Also after more was lent.
    await platform.skep("limits", "production", "kv_keys=1");
    const refused = await platform.fetch("limited", "/put?key=two", { method: "POST", body: "2" });
    expect(await refused.text()).toMatch(
      /^Error: KV PUT failed: 507 the dispatch namespace 'production' may keep 1 KV keys \(kv_keys=1\), .* skep limits production kv_keys=/,
    );
    const got = await platform.fetch("limited", "/get?key=one");
    expect(await got.json()).toMatchObject({ value: "1" });
    await platform.skep("limits", "production", "kv_keys=");
  });
});

test("deletion frees the disk", async () => {
  const id = await make("to be deleted");
  await deploy("deleted", id);
  const files = join(platform.data, "store/files/kv", id);
  await platform.fetch("deleted", "/put?key=large", { method: "POST", body: "x".repeat(500_000) });
  expect(await filesBelow(files)).toBe(1);
  const objects = join(platform.data, "store/objects");
  const sizes = async () => {
    const names = await readdir(objects, { recursive: true, withFileTypes: true });
    const files = names.filter((entry) => entry.isFile());
    const all = files.map(async (entry) => (await stat(join(entry.parentPath, entry.name))).size);
    return (await Promise.all(all)).reduce((sum, size) => sum + size, 0);
  };
  const pairs = Array.from({ length: 100 }, (_, n) => ({ key: `${n}`, value: "y".repeat(50_000) }));
  await platform.api("PUT", `${KV}/${id}/bulk`, pairs);
  const full = await sizes();
  expect((await platform.api("DELETE", `${KV}/${id}`)).status).toBe(200);
  await expect(stat(files)).rejects.toThrow(/ENOENT/);
  expect(full - (await sizes())).toBeGreaterThan(4_000_000);
  const late = await platform.fetch("deleted", "/put?key=late", { method: "POST", body: "x" });
  expect(await late.text()).toBe("Error: KV PUT failed: 400 this KV namespace was deleted");
});

test(
  "what was acknowledged is there after the store was killed",
  { timeout: 120_000 },
  async () => {
    const id = await make("killed");
    await deploy("killed", id);
    const acknowledged = new Map<string, string>();
    for (let round = 0; round < 5; round++) {
      const pid = readProcessList(join(platform.data, "run"))?.store;
      const writes = Array.from({ length: 20 }, async (_, n) => {
        const key = `${round}-${n}`;
        const body = `${n} `.repeat(n % 2 === 0 ? 10 : 60_000);
        const put = await platform.fetch("killed", `/put?key=${key}`, { method: "POST", body });
        await put.text();
        if (put.ok && n < 10) acknowledged.set(key, body);
        else acknowledged.delete(key);
      });
      await writes[round];
      if (typeof pid === "number") process.kill(pid, "SIGKILL");
      await Promise.all(writes);
      await expect
        .poll(async () => (await platform.fetch("killed", "/get?key=none")).status, {
          timeout: 30_000,
        })
        .toBe(200);
    }
    for (const [key, body] of acknowledged) {
      const got = (await (await platform.fetch("killed", `/get?key=${key}`)).json()) as {
        value: string;
      };
      expect([key, got.value.slice(0, 20)]).toEqual([key, body.slice(0, 20)]);
    }
  },
);

describe("wrangler", { timeout: 180_000 }, () => {
  test("kv namespace and kv key do what they say", async () => {
    const created = await kv("namespace", "create", "by-wrangler");
    expect(created.output).toMatch(/by-wrangler/);
    const list = await kv("namespace", "list");
    const found = (JSON.parse(list.output) as { id: string; title: string }[]).find(
      ({ title }) => title === "by-wrangler",
    );
    const id = found?.id ?? "";
    expect(created.output).toContain(id);
    const again = await kv("namespace", "create", "by-wrangler");
    expect(again.exitCode).toBe(1);
    expect(again.output).toMatch(/already exists/);

    const at = ["--namespace-id", id, "--remote"];
    const put = ["key", "put", "a/b c", "value", "--metadata", '{"m":1}', "--ttl", "600"];
    expect(await kv(...put, ...at)).toMatchObject({ exitCode: 0 });
    expect((await kv("key", "get", "a/b c", "--text", ...at)).output).toContain("value");
    const listed = JSON.parse((await kv("key", "list", ...at)).output) as object[];
    expect(listed).toEqual([
      { name: "a/b c", metadata: { m: 1 }, expiration: expect.any(Number) as number },
    ]);
    expect((await kv("key", "put", "big", "--path", "large.bin", ...at)).exitCode).toBe(0);
    const big = await platform.api("GET", `${KV}/${id}/values/big`);
    expect((await big.arrayBuffer()).byteLength).toBe(200_000);
    expect((await kv("key", "delete", "a/b c", ...at)).exitCode).toBe(0);
    const gone = await kv("key", "get", "a/b c", ...at);
    expect(gone).toMatchObject({ exitCode: 1 });
    expect(gone.output).toMatch(/404/);

    expect((await kv("namespace", "rename", "by-wrangler", "--new-name", "renamed")).exitCode).toBe(
      0,
    );
    const removed = await kv("namespace", "delete", "--namespace-id", id, "-y");
    expect(removed).toMatchObject({ exitCode: 0 });
    expect((await kv("namespace", "list")).output).not.toContain(id);
  });

  test("kv bulk puts, gets and deletes", async () => {
    const id = await make("bulk");
    const pairs = Array.from({ length: 2100 }, (_, n) => ({ key: `k${n}`, value: `v${n}` }));
    const project = await createProject({
      "pairs.json": JSON.stringify(pairs),
      "keys.json": JSON.stringify(["k1", { name: "k2" }]),
      "names.json": JSON.stringify(pairs.map(({ key }) => key)),
    });
    const run = (...args: string[]) =>
      wrangler(
        project,
        platform.wranglerEnv,
        "kv",
        "bulk",
        ...args,
        "--namespace-id",
        id,
        "--remote",
      );
    expect(await run("put", "pairs.json")).toMatchObject({ exitCode: 0 });
    const got = await run("get", "keys.json");
    expect(got.output).toMatch(/"k1"[^}]*v1/);
    expect(await run("delete", "names.json", "--force")).toMatchObject({ exitCode: 0 });
    const left = (await (await platform.api("GET", `${KV}/${id}/keys`)).json()) as {
      result: object[];
    };
    expect(left.result).toEqual([]);
  });

  const provisioned = (name: string, id?: string) =>
    createProject({
      "index.js": FUNCTION,
      "wrangler.json": JSON.stringify({
        name,
        main: "index.js",
        compatibility_date: "2026-11-01",
        kv_namespaces: [{ binding: "KV", id }],
      }),
    });
  const keep = (host: string) =>
    platform.fetchHost(host, "/put?key=kept", { method: "POST", body: "1" });
  const kept = async (host: string) => (await platform.fetchHost(host, "/get?key=kept")).json();

  test("deploy makes the KV namespace that a binding does not name, and keeps it", async () => {
    const project = await provisioned("provisioned");
    const run = () => wrangler(project, platform.wranglerEnv, "deploy");
    const first = await run();
    expect(first.exitCode, first.output).toBe(0);
    const host = "provisioned.workers.localhost";
    expect(await (await keep(host)).json()).toMatchObject({ value: "1" });
    const second = await run();
    expect(second.exitCode, second.output).toBe(0);
    expect(await kept(host)).toMatchObject({ value: "1" });
    const { result } = (await (await platform.api("GET", KV)).json()) as {
      result: { title: string }[];
    };
    expect(result.filter(({ title }) => title === "provisioned-kv")).toHaveLength(1);
  });

  test("deploy of a user Worker does so once, and says then which one to name", async () => {
    const env = platform.wranglerEnv;
    const args = ["deploy", "--dispatch-namespace", "production"];
    const project = await provisioned("made-once");
    const first = await wrangler(project, env, ...args);
    expect(first.exitCode, first.output).toBe(0);
    const host = "made-once.production.localhost";
    expect(await (await keep(host)).json()).toMatchObject({ value: "1" });
    const second = await wrangler(project, env, ...args);
    const [, id] = /named 'made-once-kv', with the id (\w+):/.exec(second.output) ?? [];
    expect(second.exitCode, second.output).toBe(1);
    const third = await wrangler(await provisioned("made-once", id), env, ...args);
    expect(third.exitCode, third.output).toBe(0);
    expect(await kept(host)).toMatchObject({ value: "1" });
  });
});

test("the official SDK", async () => {
  const { client, account } = sdkFor(platform);
  const { namespaces } = client.kv;
  const { id } = await namespaces.create({ ...account, title: "by the SDK" });
  const at = { ...account };
  expect((await all(namespaces.list(at))).map(({ title }) => title)).toContain("by the SDK");
  expect((await namespaces.get(id, at)).title).toBe("by the SDK");
  await namespaces.update(id, { ...at, title: "renamed by the SDK" });
  const key = { ...at, namespace_id: id };
  await namespaces.values.update("a/ü", { ...key, value: "plain", metadata: '{"a":1}' });
  expect(await (await namespaces.values.get("a/ü", key)).text()).toBe("plain");
  expect(await namespaces.metadata.get("a/ü", key)).toEqual({ a: 1 });
  const body = Array.from({ length: 30 }, (_, n) => ({ key: `k${n}`, value: `${n}` }));
  expect(await namespaces.bulkUpdate(id, { ...at, body })).toMatchObject({
    successful_key_count: 30,
  });
  const names = (await all(namespaces.keys.list(id, { ...at, limit: 10 }))).map(({ name }) => name);
  expect(names).toHaveLength(31);
  expect(await namespaces.bulkGet(id, { ...at, keys: ["k1", "none"] })).toEqual({
    values: { k1: "1", none: null },
  });
  await namespaces.bulkDelete(id, { ...at, body: ["k1"] });
  await namespaces.values.delete("a/ü", key);
  await expect(namespaces.values.get("a/ü", key)).rejects.toMatchObject({ status: 404 });
  await namespaces.delete(id, at);
  await expect(namespaces.get(id, at)).rejects.toMatchObject({ status: 404 });
});
