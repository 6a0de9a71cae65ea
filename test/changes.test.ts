/**
 * Changes of a KV namespace and of a database call a function, on the real platform: all of them, in order, at least once,
 * whatever is killed meanwhile and however often the function fails.
 */
import { afterAll, beforeAll, expect, test } from "vitest";
import { startPlatform, uploadForm, type Platform } from "./platform.ts";
import { skep } from "./skep.ts";

const CHANGES = 60;

let platform: Platform;
let kv: string;
let seen: string;
let database: string;

/** Fails with every seventh change, at first. What it gets is written down under when it came. */
const FOLLOWER = `
let count = 0;
export default {
  async queue({ messages }, { SEEN }) {
    for (const { attempts, body } of messages) {
      if (attempts === 1 && body.position % 7 === 0) throw new Error("not yet");
      const came = String(Date.now()).padStart(16, "0") + "-" + String(count++).padStart(6, "0");
      const { table = body.namespace, action, position, key, old, new: now } = body;
      await SEEN.put(table + "/" + came, "", { metadata: { action, position, key, old, now } });
    }
  },
};
`;

async function call<T>(method: string, path: string, body?: object): Promise<T> {
  const response = await platform.api(method, path, body);
  const { result, errors } = (await response.json()) as { result: T; errors: unknown };
  if (!response.ok) throw new Error(`${method} ${path}: ${JSON.stringify(errors)}`);
  return result;
}

/** Until it is acknowledged: a process may be away. */
async function insist(work: () => Promise<unknown>): Promise<void> {
  for (let tries = 0; ; tries++) {
    try {
      await work();
      return;
    } catch (error) {
      if (tries === 100) throw error;
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  }
}

const query = (sql: string) => call("POST", `/d1/database/${database}/query`, { sql });

beforeAll(async () => {
  platform = await startPlatform();
  const namespaces = "/storage/kv/namespaces";
  ({ id: kv } = await call<{ id: string }>("POST", namespaces, { title: "kept" }));
  ({ id: seen } = await call<{ id: string }>("POST", namespaces, { title: "seen" }));
  ({ uuid: database } = await call<{ uuid: string }>("POST", "/d1/database", { name: "shop" }));
  await query("CREATE TABLE orders (id INTEGER PRIMARY KEY, state TEXT)");
  await query("CREATE TABLE others (id INTEGER PRIMARY KEY)");
  const bindings = [
    { type: "kv_namespace", name: "KEPT", namespace_id: kv },
    { type: "kv_namespace", name: "SEEN", namespace_id: seen },
    { type: "d1", name: "DB", id: database },
  ];
  const changes = [
    { binding: "KEPT", prefix: "a", max_wait_ms: 50 },
    { binding: "DB", tables: ["orders"], max_wait_ms: 50 },
  ];
  await platform.deploy("follower", uploadForm(FOLLOWER, { bindings, changes }));
});

afterAll(async () => {
  await platform.stop();
});

interface Seen {
  readonly action: string;
  readonly position: number;
  readonly key: unknown;
  readonly old: unknown;
  readonly now: unknown;
}

/** In the order in which they came. */
async function seenOf(what: string): Promise<Seen[]> {
  const path = `/storage/kv/namespaces/${seen}/keys?prefix=${what}/&limit=1000`;
  const keys = await call<{ metadata: Seen }[]>("GET", path);
  return keys.map(({ metadata }) => metadata);
}

/** Each once, where it came first. */
function firstOf(all: readonly Seen[]): Seen[] {
  return all.filter(
    ({ position }, index) => all.findIndex((other) => other.position === position) === index,
  );
}

test("every change arrives in order, though functions fail and processes are killed", async () => {
  for (let n = 0; n < CHANGES; n++) {
    const key = `/storage/kv/namespaces/${kv}/values/`;
    const put = (name: string) =>
      insist(() => platform.api("PUT", `${key}${name}`, valueForm(name)).then(require200));
    await insist(() => query(`INSERT OR REPLACE INTO orders VALUES (${n}, 'new')`));
    await insist(() => query(`INSERT INTO others VALUES (NULL)`));
    await put(`a${n}`);
    await put(`b${n}`);
    if (n % 20 === 10) await platform.kill("store");
    if (n % 20 === 15) await platform.kill("hub");
  }
  await insist(() => query(`UPDATE orders SET state = 'paid' WHERE id = 3`));
  await insist(() => query(`DELETE FROM orders WHERE id = 4`));
  await insist(() => call("DELETE", `/storage/kv/namespaces/${kv}/values/a5`));

  const isAll = (all: Seen[]) => all.some(({ action }) => action === "delete");
  await expect.poll(async () => isAll(await seenOf("orders")), { timeout: 60_000 }).toBe(true);
  await expect.poll(async () => isAll(await seenOf("kept")), { timeout: 60_000 }).toBe(true);

  const orders = firstOf(await seenOf("orders"));
  const positions = orders.map(({ position }) => position);
  expect(positions).toEqual(positions.toSorted((a, b) => a - b));
  const inserted = new Set(
    orders.filter(({ action }) => action === "insert").map(({ key }) => (key as { id: number }).id),
  );
  expect(inserted.size).toBe(CHANGES);
  expect(orders.slice(-2)).toMatchObject([
    {
      action: "update",
      key: { id: 3 },
      old: { id: 3, state: "new" },
      now: { id: 3, state: "paid" },
    },
    { action: "delete", key: { id: 4 }, old: { id: 4, state: "new" }, now: null },
  ]);

  const keys = firstOf(await seenOf("kept"));
  const keyPositions = keys.map(({ position }) => position);
  expect(keyPositions).toEqual(keyPositions.toSorted((a, b) => a - b));
  expect(new Set(keys.map(({ key }) => key)).size).toBe(CHANGES);
  expect(keys.at(-1)).toMatchObject({ action: "delete", key: "a5" });
}, 180_000);

test("a feed goes back to a position, and is removed, by skep changes", async () => {
  const list = await skep(platform, ["changes", "list", "production/follower"]);
  expect(list.exitCode, list.output).toBe(0);
  const row = list.output.split("\n").find((line) => line.includes("orders"));
  const [id = ""] = row?.split(/\s+/) ?? [];
  const before = await seenOf("orders");
  const last = before.at(-1)?.position ?? 0;
  const moved = await skep(platform, [
    "changes",
    "position",
    "production/follower",
    id,
    String(last - 1),
  ]);
  expect(moved.exitCode, moved.output).toBe(0);
  await expect
    .poll(async () => (await seenOf("orders")).filter(({ position }) => position === last).length)
    .toBe(before.filter(({ position }) => position === last).length + 1);
  const removed = await skep(platform, ["changes", "remove", "production/follower", id]);
  expect(removed.exitCode, removed.output).toBe(0);
  const count = (await seenOf("orders")).length;
  await query("INSERT INTO orders VALUES (1000, 'late')");
  const added = await skep(platform, [
    "changes",
    "add",
    "production/follower",
    "DB",
    "--tables",
    "orders",
  ]);
  expect(added.exitCode, added.output).toBe(0);
  await query("INSERT INTO orders VALUES (1001, 'later')");
  await expect.poll(async () => (await seenOf("orders")).length).toBe(count + 1);
  expect((await seenOf("orders")).at(-1)).toMatchObject({ now: { id: 1001 } });
});

test("event notifications of a bucket go to a queue in Cloudflare's form, and a feed calls a function", async () => {
  await call("POST", "/r2/buckets", { name: "uploads" });
  const { queue_id: queue } = await call<{ queue_id: string }>("POST", "/queues", {
    queue_name: "notified",
  });
  const rules = [{ prefix: "in/", actions: ["PutObject", "DeleteObject"] }];
  const configuration = `/event_notifications/r2/uploads/configuration/queues/${queue}`;
  await call("PUT", configuration, { rules });
  await call("POST", `/queues/${queue}/consumers`, { type: "http_pull" });
  const bindings = [
    { type: "r2_bucket", name: "UPLOADS", bucket_name: "uploads" },
    { type: "kv_namespace", name: "SEEN", namespace_id: seen },
  ];
  const changes = [{ binding: "UPLOADS", suffix: ".txt", max_wait_ms: 50 }];
  const source = `
    export default {
      async fetch(request, { UPLOADS }) {
        await UPLOADS.put("in/a.txt", "four");
        await UPLOADS.put("out/b.txt", "other");
        await UPLOADS.delete("in/a.txt");
        return new Response();
      },
      async queue({ messages }, { SEEN }) {
        for (const { body } of messages) {
          const { position, action, object, bucket } = body;
          await SEEN.put("uploads/" + position, "", { metadata: { position, action, object, bucket } });
        }
      },
    };`;
  await platform.deploy("uploader", uploadForm(source, { bindings, changes }));
  expect((await platform.fetch("uploader", "/")).status).toBe(200);

  const told: { body: string }[] = [];
  await expect
    .poll(async () => {
      const pull = { batch_size: 10, visibility_timeout_ms: 60_000 };
      const path = `/queues/${queue}/messages/pull`;
      told.push(...(await call<{ messages: { body: string }[] }>("POST", path, pull)).messages);
      return told.length;
    })
    .toBe(2);
  const account = platform.wranglerEnv.CLOUDFLARE_ACCOUNT_ID;
  const time = expect.stringMatching(/^\d{4}-\d\d-\d\dT/);
  const eTag = expect.stringMatching(/^[0-9a-f]{32}$/);
  expect(told.map(({ body }) => JSON.parse(atob(body)) as unknown)).toEqual([
    {
      account,
      bucket: "uploads",
      action: "PutObject",
      object: { key: "in/a.txt", size: 4, eTag },
      eventTime: time,
    },
    {
      account,
      bucket: "uploads",
      action: "DeleteObject",
      object: { key: "in/a.txt" },
      eventTime: time,
    },
  ]);
  await expect.poll(async () => (await seenOf("uploads")).length).toBe(3);
  expect(await seenOf("uploads")).toMatchObject([
    { action: "PutObject", object: { key: "in/a.txt", size: 4 } },
    { action: "PutObject", object: { key: "out/b.txt" } },
    { action: "DeleteObject", object: { key: "in/a.txt" } },
  ]);
});

function valueForm(value: string): FormData {
  const form = new FormData();
  form.set("value", value);
  return form;
}

async function require200(response: Response): Promise<void> {
  if (!response.ok) throw new Error(`${response.status} ${await response.text()}`);
}
