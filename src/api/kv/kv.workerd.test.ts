/** KV of the API, over the real store: as Cloudflare answers, by which tokens, and within quotas. */
import { runInDurableObject } from "cloudflare:test";
import { beforeAll, describe, expect, it } from "vitest";
import {
  ACCOUNT,
  bootstrap,
  call,
  hub,
  limitedToken,
  NAMESPACES,
  request,
  TOKEN,
} from "../../hub/test/api.ts";

const KV = `/accounts/${ACCOUNT}/storage/kv/namespaces`;
const operator = { authorization: `Bearer ${TOKEN}` };

beforeAll(async () => {
  await bootstrap();
  await call("POST", NAMESPACES, { name: "staging" });
});

async function make(title: string, query = ""): Promise<string> {
  const { result, errors } = await call("POST", `${KV}${query}`, { title });
  expect(errors).toEqual([]);
  return `${KV}/${result.id as string}`;
}

function put(kv: string, key: string, value: BodyInit, query = ""): Promise<Response> {
  const init = { method: "PUT", body: value, headers: operator };
  return request("PUT", `${kv}/values/${encodeURIComponent(key)}${query}`, init);
}

async function get(kv: string, key: string): Promise<string> {
  const path = `${kv}/values/${encodeURIComponent(key)}`;
  return (await request("GET", path, { headers: operator })).text();
}

async function errorOf(response: Response): Promise<{ code: number; message: string }> {
  const { errors } = await response.json<{ errors: { code: number; message: string }[] }>();
  return errors[0] ?? { code: 0, message: "none" };
}

describe("KV namespaces", () => {
  it("are made, listed in order, renamed and deleted", async () => {
    const one = await make("b-title");
    const other = await make("a-title");
    const titles = async (query = "") =>
      ((await call("GET", `${KV}${query}`)).result as { title: string }[])
        .map(({ title }) => title)
        .filter((title) => title.endsWith("-title"));
    expect(await titles("?order=title&direction=asc&page=1&per_page=100")).toEqual([
      "a-title",
      "b-title",
    ]);
    expect(await titles("?direction=desc")).toEqual(["b-title", "a-title"]);
    expect(await titles("?page=2&per_page=100")).toEqual([]);
    expect((await call("PUT", one, { title: "c-title" })).result).toMatchObject({
      title: "c-title",
      supports_url_encoding: true,
    });
    expect((await call("GET", one)).result.title).toBe("c-title");
    expect((await call("POST", KV, { title: "c-title" })).errors[0]?.code).toBe(10014);
    expect((await call("PUT", other, { title: "c-title" })).errors[0]?.code).toBe(10014);
    expect((await call("DELETE", one)).result).toEqual({});
    expect((await call("DELETE", one)).errors[0]?.code).toBe(10013);
    expect((await call("GET", `${one}/keys`)).errors[0]?.code).toBe(10013);
    expect(await titles()).toEqual(["a-title"]);
  });

  it("cannot be kept to a jurisdiction, or be without a title", async () => {
    const answer = await call("POST", KV, { title: "far", jurisdiction: "eu" });
    expect(answer.errors[0]?.message).toMatch(/jurisdiction 'eu'/);
    expect((await call("POST", KV, {})).errors[0]?.message).toMatch(/title/);
  });
});

describe("values", () => {
  it.each(["plain", "with space", "a/b", "a//b/", "100%", "ünï🐝", "?q#h", "bulk"])(
    "have the key %j",
    async (key) => {
      const kv = await make(`key ${key}`);
      expect((await put(kv, key, "value")).status).toBe(200);
      expect(await get(kv, key)).toBe("value");
      expect((await call("GET", `${kv}/keys`)).result).toEqual([{ name: key }]);
      const path = `${kv}/values/${encodeURIComponent(key)}`;
      expect((await call("DELETE", path)).success).toBe(true);
      expect((await call("GET", path)).errors[0]).toMatchObject({ code: 10009 });
    },
  );

  it("are raw bytes, small and large", async () => {
    const kv = await make("bytes");
    for (const length of [0, 1, 256, 70_000, 3_000_000]) {
      const bytes = new Uint8Array(length).map((_, index) => index * 7);
      expect((await put(kv, "bytes", bytes)).status).toBe(200);
      const response = await request("GET", `${kv}/values/bytes`, { headers: operator });
      const got = new Uint8Array(await response.arrayBuffer());
      expect(got.byteLength).toBe(length);
      expect(got.every((byte, index) => byte === bytes[index])).toBe(true);
    }
  });

  it("have metadata and expire", async () => {
    const kv = await make("forms");
    const form = new FormData();
    form.set("value", "of a form");
    form.set("metadata", '{"ü":1}');
    expect((await put(kv, "key", form, "?expiration_ttl=3600")).status).toBe(200);
    const response = await request("GET", `${kv}/values/key`, { headers: operator });
    expect(Number(response.headers.get("expiration"))).toBeGreaterThan(Date.now() / 1000);
    expect(await response.text()).toBe("of a form");
    expect((await call("GET", `${kv}/metadata/key`)).result).toEqual({ ü: 1 });
    expect((await call("GET", `${kv}/keys`)).result).toEqual([
      { name: "key", metadata: { ü: 1 }, expiration: expect.any(Number) as number },
    ]);
    const file = new FormData();
    file.set("value", new File([new Uint8Array([0, 255])], "value"));
    expect((await put(kv, "file", file)).status).toBe(200);
    expect((await call("GET", `${kv}/metadata/file`)).result).toBeNull();
  });

  it.each([
    ["an expiration of yesterday", "?expiration=1000", "x", 400, /Invalid expiration of 1000/],
    ["a ttl of a second", "?expiration_ttl=1", "x", 400, /at least 60/],
    [
      "more than 25 MiB",
      "",
      new Uint8Array(25 * 1024 * 1024 + 1),
      413,
      /exceeds limit of 26214400/,
    ],
  ])("are refused: %s", async (title, query, value, status, message) => {
    const kv = await make(`refused: ${title}`);
    const response = await put(kv, "key", value, query);
    expect(response.status).toBe(status);
    expect((await errorOf(response)).message).toMatch(message);
  });

  it("of a form are read up to a bound", async () => {
    const kv = await make("large form");
    const form = new FormData();
    form.set("value", new File([new Uint8Array(27 * 1024 * 1024)], "value"));
    const response = await put(kv, "key", form);
    expect(response.status).toBe(413);
    expect((await errorOf(response)).message).toMatch(/body has more than 27262976 bytes/);
  });

  it("may be many large ones at once", async () => {
    const kv = await make("large bulk");
    const value = "v".repeat(1024 * 1024);
    const pairs = Array.from({ length: 40 }, (_, n) => ({ key: `k${n}`, value }));
    expect((await call("PUT", `${kv}/bulk`, pairs)).result).toMatchObject({
      successful_key_count: 40,
    });
    expect((await call("GET", `${kv}/keys`)).result).toHaveLength(40);
  });

  it("are listed page by page", async () => {
    const kv = await make("pages");
    const pairs = Array.from({ length: 25 }, (_, n) => ({ key: `k${n + 10}`, value: "v" }));
    await call("PUT", `${kv}/bulk`, pairs);
    const names: string[] = [];
    for (let cursor = "", pages = 0; pages < 10; pages++) {
      const answer = await call("GET", `${kv}/keys?limit=10&prefix=k&cursor=${cursor}`);
      names.push(...(answer.result as { name: string }[]).map(({ name }) => name));
      cursor = (answer.result_info as unknown as { cursor: string }).cursor;
      if (cursor === "") break;
    }
    expect(names).toEqual(pairs.map(({ key }) => key));
  });

  it("are put, read and deleted many at once", async () => {
    const kv = await make("bulk");
    const done = { successful_key_count: 3, unsuccessful_keys: [] };
    const pairs = [
      { key: "a", value: "1", metadata: { m: 1 }, expiration_ttl: 600 },
      { key: "b", value: "AP8=", base64: true },
      { key: "c", value: "x".repeat(100_000) },
    ];
    expect((await call("PUT", `${kv}/bulk`, pairs)).result).toEqual(done);
    expect((await call("POST", `${kv}/bulk/get`, { keys: ["a", "none"] })).result).toEqual({
      values: { a: "1", none: null },
    });
    const wanted = { keys: ["a"], withMetadata: true, type: "json" };
    expect((await call("POST", `${kv}/bulk/get`, wanted)).result).toEqual({
      values: { a: { value: 1, metadata: { m: 1 } } },
    });
    expect((await call("POST", `${kv}/bulk/delete`, ["a", "b", "none"])).result).toEqual(done);
    expect((await call("DELETE", `${kv}/bulk`, ["c"])).result).toMatchObject({
      successful_key_count: 1,
    });
    expect((await call("GET", `${kv}/keys`)).result).toEqual([]);
    const bad = await call("PUT", `${kv}/bulk`, [{ key: "x", value: "%", base64: true }]);
    expect(bad.errors[0]?.message).toMatch(/'x' is not base64/);
  });
});

describe("tokens", () => {
  it("for a namespace see what is its own alone, and make their own", async () => {
    const accounts = await make("of the account");
    const production = await make("of production", "?dispatch_namespace=production");
    const token = await limitedToken("of-staging", { namespaces: ["staging"] });
    const as = { authorization: `Bearer ${token}` };
    const made = await call("POST", KV, { title: "of staging" }, as);
    expect(made.result).toMatchObject({ dispatch_namespace: "staging" });
    expect((await call("GET", KV, undefined, as)).result).toEqual([made.result]);
    for (const kv of [accounts, production]) {
      expect((await call("GET", kv, undefined, as)).status).toBe(404);
      expect((await call("DELETE", kv, undefined, as)).status).toBe(404);
      expect((await call("GET", `${kv}/keys`, undefined, as)).status).toBe(404);
      expect((await call("PUT", `${kv}/bulk`, [{ key: "a", value: "b" }], as)).status).toBe(404);
    }
  });

  it("need `data` for what is in it", async () => {
    const kv = await make("guarded");
    const as = {
      authorization: `Bearer ${await limitedToken("no-data", { permissions: ["read", "deploy"] })}`,
    };
    expect((await call("GET", kv, undefined, as)).status).toBe(200);
    expect((await call("GET", `${kv}/keys`, undefined, as)).status).toBe(403);
    expect((await call("GET", `${kv}/values/a`, undefined, as)).status).toBe(403);
  });
});

describe("quotas", () => {
  it("end at 10,000 KV namespaces of one owner", async () => {
    await call("POST", NAMESPACES, { name: "crowded" });
    const first = await make("first", "?dispatch_namespace=crowded");
    const id = first.slice(KV.length + 1);
    await runInDurableObject(hub.REGISTRY.getByName("registry"), (_instance, { storage }) => {
      storage.sql.exec(
        `WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 9999)
         INSERT INTO resources SELECT 'crowd-' || i, account_id, namespace_id, kind, 'crowd-' || i, settings, 0, 0
         FROM n, (SELECT * FROM resources WHERE id = ?)`,
        id,
      );
      storage.sql.exec(`DELETE FROM store_changes`);
    });
    const refused = await call("POST", `${KV}?dispatch_namespace=crowded`, { title: "last" });
    expect(refused.status).toBe(413);
    expect(refused.errors[0]?.message).toMatch(
      /may have 10000 of a kind: before there can be another KV namespace/,
    );
    await make("of another owner", "?dispatch_namespace=staging");
    await runInDurableObject(hub.REGISTRY.getByName("registry"), (_instance, { storage }) => {
      storage.sql.exec(`DELETE FROM resources WHERE id LIKE 'crowd-%'`);
      storage.sql.exec(`DELETE FROM store_changes WHERE id LIKE 'crowd-%'`);
    });
  });

  const usage = async (namespace: string) =>
    (await call("GET", `${NAMESPACES}/${namespace}/usage`)).result as {
      bytes: { used: number; limit: number };
      kv_keys: { used: number; limit: number };
      resources: { kind: string; id: string; usage: object }[];
    };

  it("of keys hold for all KV namespaces of a namespace together", async () => {
    await call("POST", NAMESPACES, { name: "tight" });
    await call("PUT", `${NAMESPACES}/tight/limits`, { kv_keys: 5 });
    const one = await make("one", "?dispatch_namespace=tight");
    const other = await make("other", "?dispatch_namespace=tight");
    for (const key of ["a", "b", "c"]) expect((await put(one, key, "1")).status).toBe(200);
    // What the first one was lent and does not use goes to whoever needs it.
    for (const key of ["a", "b"]) expect((await put(other, key, "22")).status).toBe(200);
    await call("PUT", `${NAMESPACES}/tight/limits`, { kv_keys: 7 });
    // Nor does it matter that they gave back just now.
    for (const key of ["d", "e"]) {
      for (const kv of [one, other]) {
        expect((await put(kv, key, "1")).status).toBe(key === "d" ? 200 : 413);
      }
    }
    for (const kv of [one, other]) await call("DELETE", `${kv}/values/d`);
    await call("PUT", `${NAMESPACES}/tight/limits`, { kv_keys: 5 });
    expect(await usage("tight")).toMatchObject({ kv_keys: { used: 5, limit: 5 } });
    for (const kv of [one, other]) {
      const refused = await put(kv, "one too many", "3");
      expect(refused.status).toBe(413);
      const { code, message } = await errorOf(refused);
      expect(code).toBe(930074);
      expect(message).toMatch(/the dispatch namespace 'tight' may keep 5 KV keys/);
      expect(message).toMatch(/skep limits tight kv_keys=/);
      expect((await put(kv, "a", "replaced")).status).toBe(200);
    }
    await call("DELETE", `${one}/values/a`);
    // At most once a second the others are asked to give back.
    await expect.poll(async () => (await put(other, "c", "3")).status).toBe(200);
    expect((await usage("tight")).kv_keys.used).toBe(5);
    await call("PUT", `${NAMESPACES}/tight/limits`, { kv_keys: 6 });
    await expect.poll(async () => (await put(one, "d", "4")).status).toBe(200);
    expect((await call("DELETE", one)).success).toBe(true);
    expect(await usage("tight")).toMatchObject({ kv_keys: { used: 3 } });
    expect((await usage("tight")).resources).toHaveLength(1);
  });

  it("of bytes, and never one more under concurrency", async () => {
    await call("POST", NAMESPACES, { name: "small" });
    await call("PUT", `${NAMESPACES}/small/limits`, { storage_mb: 1 });
    const kvs = [
      await make("x", "?dispatch_namespace=small"),
      await make("y", "?dispatch_namespace=small"),
    ];
    const value = "v".repeat(100_000);
    const stored = await Promise.all(
      Array.from({ length: 30 }, async (_, n) => (await put(kvs[n % 2] ?? "", `k${n}`, value)).ok),
    );
    const { bytes } = await usage("small");
    expect(bytes.limit).toBe(1024 * 1024);
    expect(bytes.used).toBeLessThanOrEqual(bytes.limit);
    const count = stored.filter(Boolean).length;
    expect(count).toBeGreaterThan(0);
    expect(bytes.used).toBeGreaterThanOrEqual(count * value.length);
  });
});
