// What a stateful cell finds in its env: the runtime's own bindings over the store, and the platform's over the gate.
import { afterAll, beforeAll, expect, test } from "vitest";
import { startPlatform, uploadForm, type Platform } from "../platform.ts";

let platform: Platform;

beforeAll(async () => {
  platform = await startPlatform({ args: ["--edges", "1"] });
});

afterAll(async () => {
  await platform.stop();
});

async function create(path: string, body: object): Promise<Record<string, string>> {
  const response = await platform.api("POST", path, body);
  const text = await response.text();
  if (!response.ok) throw new Error(text);
  return (JSON.parse(text) as { result: Record<string, string> }).result;
}

const SOURCE = `
import { DurableObject } from "cloudflare:workers";
export class Thing extends DurableObject {
  async all() {
    const { KV, D1, R2, QUEUE, SERVICE, LIMIT, DATA } = this.env;
    await KV.put("k", "v", { metadata: { m: 1 } });
    await D1.exec("CREATE TABLE IF NOT EXISTS t (x)");
    await D1.prepare("INSERT INTO t VALUES (?)").bind(5).run();
    await R2.put("o", "content");
    await QUEUE.send({ a: 1 });
    await QUEUE.sendBatch([{ body: "b" }, { body: new Map([["c", 1]]), contentType: "v8" }]);
    DATA.writeDataPoint({ blobs: ["b"], doubles: [1], indexes: ["i"] });
    const answer = await SERVICE.fetch("http://x/hello");
    let outside;
    try { outside = (await fetch("http://10.0.0.1/")).status; } catch (error) { outside = error.message; }
    return {
      kv: await KV.getWithMetadata("k"),
      kvClass: KV.constructor.name,
      d1: await D1.prepare("SELECT x FROM t").first("x"),
      r2: await (await R2.get("o")).text(),
      service: await answer.text(),
      rpc: await SERVICE.add(1, 2),
      backlog: (await QUEUE.metrics()).backlogCount,
      limit: await LIMIT.limit({ key: "k" }),
      outside,
    };
  }
  async many(n) {
    let made = 0;
    try { for (; made < n; made++) await this.env.KV.get("k"); } catch (error) { return made + " " + error.message; }
    return made;
  }
}
export default {
  async fetch(request, env) {
    const stub = env.THING.getByName("x");
    if (new URL(request.url).pathname === "/many") return Response.json(await stub.many(400));
    return Response.json(await stub.all());
  },
};
`;

const CALLEE = `
import { WorkerEntrypoint } from "cloudflare:workers";
export default class extends WorkerEntrypoint {
  fetch(request) { return new Response("hello from " + new URL(request.url).pathname); }
  add(a, b) { return a + b; }
}
`;

test("an object uses every kind of binding", async () => {
  const [kv, d1] = await Promise.all([
    create("/storage/kv/namespaces", { title: "kv" }),
    create("/d1/database", { name: "db" }),
    create("/r2/buckets", { name: "bucket" }),
    create("/queues", { queue_name: "jobs" }),
  ]);
  await platform.deploy("callee", CALLEE);
  const bindings = [
    { type: "durable_object_namespace", name: "THING", class_name: "Thing" },
    { type: "kv_namespace", name: "KV", namespace_id: kv.id },
    { type: "d1", name: "D1", id: d1.uuid },
    { type: "queue", name: "QUEUE", queue_name: "jobs" },
    { type: "r2_bucket", name: "R2", bucket_name: "bucket" },
    { type: "service", name: "SERVICE", service: "callee" },
    { type: "ratelimit", name: "LIMIT", namespace_id: "7", simple: { limit: 10, period: 60 } },
    { type: "analytics_engine", name: "DATA", dataset: "points" },
  ];
  const migrations = { new_tag: "v1", steps: [{ new_sqlite_classes: ["Thing"] }] };
  await platform.deploy("things", uploadForm(SOURCE, { bindings, migrations }));
  const answer = await platform.fetch("things", "/");
  expect(JSON.parse(await answer.text())).toEqual({
    kv: { value: "v", metadata: { m: 1 }, cacheStatus: null },
    kvClass: "KvNamespace",
    d1: 5,
    r2: "content",
    service: "hello from /hello",
    rpc: 3,
    backlog: 3,
    limit: { success: true },
    outside: expect.anything(),
  });
});

test("what an object asks of bindings counts as subrequests", async () => {
  const path = "/workers/dispatch/namespaces/production/scripts/things/limits";
  const answer = await platform.api("PUT", path, { subrequests: 20 });
  expect(answer.status).toBe(200);
  expect(await (await platform.fetch("things", "/many")).text()).toContain("Too many subrequests");
});
