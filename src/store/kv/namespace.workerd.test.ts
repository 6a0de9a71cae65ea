/** What nobody waits for: keys that expire, files that no key leads to. The rest is in test/conformance/kv.ts. */
import { runDurableObjectAlarm, runInDurableObject } from "cloudflare:test";
import { env as bindings } from "cloudflare:workers";
import { describe, expect, it } from "vitest";
import type { StoreConfig } from "../../protocol/store.ts";
import type { StoreEnv } from "../env.ts";
import type { KvNamespace } from "./namespace.ts";

const env = bindings as unknown as StoreEnv;
const LARGE = "x".repeat(100_000);

async function make(settings: object = {}): Promise<DurableObjectStub<KvNamespace>> {
  const id = crypto.randomUUID();
  const config: StoreConfig = {
    kind: "kv",
    id,
    accountId: "account",
    namespaceId: id,
    namespace: "production",
    name: id,
    settings: settings as Record<string, unknown>,
    limits: {},
  };
  const kv = env.KV.getByName(id);
  await kv.configure(config);
  return kv;
}

async function put(kv: DurableObjectStub<KvNamespace>, key: string, value: string): Promise<void> {
  const init = { method: "PUT", body: value };
  const response = await kv.fetch(`http://kv/${key}?urlencoded=true&expiration_ttl=3600`, init);
  expect(response.status).toBe(200);
}

async function text(kv: DurableObjectStub<KvNamespace>, path: string): Promise<string> {
  return (await kv.fetch(`http://kv/${path}`)).text();
}

function rows(kv: DurableObjectStub<KvNamespace>, query: string): Promise<unknown[]> {
  return runInDurableObject(kv, (_instance, { storage }) => storage.sql.exec(query).toArray());
}

/** Those of the files of this KV namespace that are there, of all that it ever had. */
async function there(kv: DurableObjectStub<KvNamespace>, files: readonly string[]) {
  const { name: id = "" } = kv;
  const found = await Promise.all(
    files.map(async (file) => (await env.FILES.fetch(`http://files/kv/${id}/${file}`)).ok),
  );
  return files.filter((_, index) => found[index]);
}

async function fileOf(kv: DurableObjectStub<KvNamespace>, key: string): Promise<string> {
  const [row] = await rows(kv, `SELECT file FROM entries WHERE key = '${key}'`);
  return (row as { file: string }).file;
}

describe("a KV namespace", () => {
  it("asks for many keys in a request of some length only", async () => {
    const kv = await make();
    await put(kv, "a", "1");
    const ask = async (body: string) => {
      const response = await kv.fetch("http://kv/bulk/get", { method: "POST", body });
      return [response.status, await response.text()];
    };
    expect(await ask('{"keys":["a"]}')).toEqual([200, '{"a":"1"}']);
    const long = JSON.stringify({ keys: ["a"], more: "x".repeat(1024 * 1024) });
    expect(await ask(long)).toEqual([413, expect.stringMatching(/up to 1048576 bytes/)]);
    for (const body of ["{", "null", '{"keys":[{}]}', '{"keys":{"length":1}}']) {
      expect((await ask(body))[0], body).toBe(400);
    }
  });

  it("gives out large answers only as fast as they are read", async () => {
    const kv = await make();
    await put(kv, "large", "x".repeat(20 * 1024 * 1024));
    const init = { method: "POST", body: '{"keys":["large"]}' };
    const ask = () => kv.fetch("http://kv/bulk/get", init);
    const unread = await Promise.all(Array.from({ length: 8 }, ask));
    const answered = unread.filter(({ status }) => status === 200);
    expect(unread.filter(({ status }) => status === 429)).toHaveLength(8 - answered.length);
    expect(answered.length).toBeLessThan(5);
    for (const response of unread.slice(1)) await response.body?.cancel();
    expect((await unread[0]?.text())?.length).toBe(20 * 1024 * 1024 + '{"large":""}'.length);
    await expect
      .poll(async () => {
        const { status, body } = await ask();
        await body?.cancel();
        return status;
      })
      .toBe(200);
  });

  it("hides a key that has expired, and an alarm deletes it with its file", async () => {
    const kv = await make();
    await put(kv, "small", "1");
    await put(kv, "large", LARGE);
    const file = await fileOf(kv, "large");
    await rows(kv, `UPDATE entries SET expiration = 1`);
    expect((await kv.fetch("http://kv/small?urlencoded=true")).status).toBe(404);
    expect(JSON.parse(await text(kv, "?prefix="))).toMatchObject({ keys: [], list_complete: true });
    expect(await runDurableObjectAlarm(kv)).toBe(true);
    expect(await rows(kv, `SELECT * FROM entries`)).toEqual([]);
    expect(await rows(kv, `SELECT keys, bytes FROM totals`)).toEqual([{ keys: 0, bytes: 0 }]);
    expect(await there(kv, [file])).toEqual([]);
    expect(await rows(kv, `SELECT * FROM leftover`)).toEqual([]);
  });

  it("sweeps the file of a value that was replaced or deleted, and no other", async () => {
    const kv = await make();
    await put(kv, "replaced", LARGE);
    await put(kv, "deleted", LARGE);
    await put(kv, "kept", LARGE);
    const files = await Promise.all(["replaced", "deleted", "kept"].map((key) => fileOf(kv, key)));
    await put(kv, "replaced", "small");
    await kv.fetch("http://kv/deleted?urlencoded=true", { method: "DELETE" });
    expect(await there(kv, files)).toEqual(files);
    expect(await runDurableObjectAlarm(kv)).toBe(true);
    expect(await there(kv, files)).toEqual(files.slice(2));
    expect(await text(kv, "kept?urlencoded=true")).toBe(LARGE);
  });

  it("sweeps what a process that was killed had begun to write", async () => {
    const kv = await make();
    const { name: id = "" } = kv;
    await env.FILES.fetch(`http://files/kv/${id}/begun`, { method: "PUT", body: LARGE });
    await rows(kv, `INSERT INTO leftover VALUES ('begun'), ('never-begun')`);
    await put(kv, "any", LARGE);
    expect(await runDurableObjectAlarm(kv)).toBe(true);
    expect(await there(kv, ["begun"])).toEqual([]);
    expect(await rows(kv, `SELECT * FROM leftover`)).toEqual([]);
  });

  it("leaves a file alone whose row comes while others are swept", async () => {
    const kv = await make();
    const { name: id = "" } = kv;
    for (const file of ["first", "second"]) {
      await env.FILES.fetch(`http://files/kv/${id}/${file}`, { method: "PUT", body: LARGE });
    }
    await rows(kv, `INSERT INTO leftover VALUES ('first'), ('second')`);
    await runInDurableObject(kv, async (instance, { storage }) => {
      const swept = instance.alarm();
      storage.sql.exec(`DELETE FROM leftover WHERE file = 'second'`);
      await swept;
    });
    expect(await there(kv, ["first", "second"])).toEqual(["second"]);
  });

  it("leaves nothing when it is removed while something arrives", async () => {
    const kv = await make();
    const { name: id = "" } = kv;
    const { readable, writable } = new IdentityTransformStream();
    const isKept = kv
      .fetch("http://kv/late?urlencoded=true", { method: "PUT", body: readable })
      .then(
        ({ ok }) => ok,
        () => false,
      );
    const writer = writable.getWriter();
    await writer.write(new TextEncoder().encode(LARGE));
    await kv.remove(id);
    await writer.write(new TextEncoder().encode(LARGE));
    await writer.close();
    expect(await isKept).toBe(false);
    expect((await env.FILES.fetch(`http://files/kv/${id}`)).status).toBe(404);
  });

  it("leaves nothing when it is removed, and takes nothing afterwards", async () => {
    const kv = await make();
    await put(kv, "large", LARGE);
    const file = await fileOf(kv, "large");
    await kv.remove(kv.name ?? "");
    expect(await there(kv, [file])).toEqual([]);
    const left = await rows(kv, `SELECT name FROM sqlite_master WHERE name = 'entries'`);
    expect(left).toEqual([]);
    const late = await kv.fetch("http://kv/late?urlencoded=true", { method: "PUT", body: "x" });
    expect([late.status, late.statusText]).toEqual([400, "this KV namespace was deleted"]);
    await kv.remove(kv.name ?? "");
  });
});

describe("quotas", () => {
  it("are asked for rarely", async () => {
    const kv = await make();
    await put(kv, "first", "1");
    const book = env.QUOTAS.getByName(kv.name ?? "");
    const lent = () =>
      runInDurableObject(book, (_instance, { storage }) =>
        storage.sql.exec(`SELECT measure, amount FROM leases ORDER BY measure`).toArray(),
      );
    const before = await lent();
    for (let n = 0; n < 50; n++) await put(kv, `key-${n}`, "value");
    expect(await lent()).toEqual(before);
    expect(await book.usage()).toMatchObject([{ kind: "kv", usage: { kv_keys: 51 } }]);
    expect(await lent()).toMatchObject([
      { measure: "bytes" },
      { measure: "kv_keys", amount: 51 },
      {},
      {},
    ]);
  });
});

it("takes nothing more where too many changes wait, until some have been brought", async () => {
  const rules = [{ actions: ["put", "delete"] }];
  const kv = await make({ notifications: [{ queueId: "full", rules }] });
  await put(kv, "a", "1");
  await rows(kv, `UPDATE outbox SET seq = seq - 1000000`);
  await put(kv, "b", "1");
  const refused = await kv.fetch("http://kv/c?urlencoded=true", { method: "PUT", body: "1" });
  expect([refused.status, await refused.text()]).toEqual([
    507,
    expect.stringContaining("wait for queues"),
  ]);
  const deleted = await kv.fetch("http://kv/a?urlencoded=true", { method: "DELETE" });
  expect(deleted.ok).toBe(true);
  await rows(kv, `DELETE FROM outbox WHERE seq < 0`);
  await put(kv, "c", "1");
});
