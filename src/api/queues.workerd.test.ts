import { runInDurableObject } from "cloudflare:test";
import { beforeAll, describe, expect, it } from "vitest";
import {
  ACCOUNT,
  bootstrap,
  call,
  deploy,
  helloForm,
  hub,
  limitedToken,
  NAMESPACES,
  scriptPath,
} from "../hub/test/api.ts";

const QUEUES = `/accounts/${ACCOUNT}/queues`;
const worker = (script_name: string, more: object = {}) => ({
  type: "worker",
  script_name,
  ...more,
});

beforeAll(async () => {
  await bootstrap();
});

async function made(name: string, headers: Record<string, string> = {}): Promise<string> {
  const { result, errors } = await call("POST", QUEUES, { queue_name: name }, headers);
  expect(errors).toEqual([]);
  return result.queue_id as string;
}

async function pulled(path: string, asked: object = {}) {
  const { result } = await call("POST", `${path}/messages/pull`, asked);
  return result.messages as {
    body: string;
    lease_id: string;
    attempts: number;
    metadata: Record<string, string>;
  }[];
}

describe("a queue", () => {
  it("is made, found by name, changed and deleted", async () => {
    const id = await made("jobs");
    expect(id).toMatch(/^[0-9a-f]{32}$/);
    const { result } = await call("GET", `${QUEUES}?page=1&name=jobs&name=none`);
    expect(result).toHaveLength(1);
    expect(result[0]).toMatchObject({
      queue_id: id,
      settings: { delivery_delay: 0, delivery_paused: false, message_retention_period: 345_600 },
      producers: [],
      producers_total_count: 0,
      consumers: [],
      consumers_total_count: 0,
      dispatch_namespace: null,
    });
    expect((await call("GET", `${QUEUES}?page=2&name=jobs`)).result).toEqual([]);
    const patched = await call("PATCH", `${QUEUES}/${id}`, {
      queue_name: "jobs",
      settings: { delivery_paused: true, delivery_delay: 5 },
    });
    expect(patched.result.settings).toEqual({
      delivery_delay: 5,
      delivery_paused: true,
      message_retention_period: 345_600,
    });
    const renamed = await call("PUT", `${QUEUES}/${id}`, { queue_name: "works" });
    expect(renamed.result).toMatchObject({ queue_name: "works", settings: { delivery_delay: 5 } });
    expect((await call("DELETE", `${QUEUES}/${id}`)).success).toBe(true);
    expect((await call("GET", `${QUEUES}/${id}`)).errors[0]?.code).toBe(10104);
  });

  it.each([
    ["a name that is taken", { queue_name: "taken" }, 409, 930071],
    ["a bad name", { queue_name: "no spaces" }, 400, 100128],
    ["a long delay", { queue_name: "q", settings: { delivery_delay: 86_401 } }, 400, 100128],
    [
      "a short retention",
      { queue_name: "q", settings: { message_retention_period: 59 } },
      400,
      100128,
    ],
    ["a jurisdiction", { queue_name: "q", jurisdiction: "eu" }, 400, 100128],
  ])("is not made with %s", async (_what, body, status, code) => {
    if (body.queue_name === "taken") await made("taken");
    const answer = await call("POST", QUEUES, body);
    expect([answer.status, answer.errors[0]?.code]).toEqual([status, code]);
  });

  it("of a namespace is for the tokens of that namespace, and goes with it", async () => {
    await call("POST", NAMESPACES, { name: "tenant" });
    const token = await limitedToken("of-tenant", { namespaces: ["tenant"] });
    const headers = { authorization: `Bearer ${token}` };
    const own = await made("private", headers);
    const accounts = await made("private");
    expect((await call("GET", `${QUEUES}?name=private`, undefined, headers)).result).toMatchObject([
      { queue_id: own, dispatch_namespace: "tenant" },
    ]);
    expect((await call("GET", `${QUEUES}?name=private`)).result).toMatchObject([
      { queue_id: accounts, dispatch_namespace: null },
      { queue_id: own, dispatch_namespace: "tenant" },
    ]);
    for (const [method, path] of [
      ["GET", ""],
      ["DELETE", ""],
      ["POST", "/purge"],
      ["POST", "/messages/pull"],
    ] as const) {
      const body = method === "POST" ? {} : undefined;
      const answer = await call(method, `${QUEUES}/${accounts}${path}`, body, headers);
      expect(answer.errors[0]?.code, `${method} ${path}`).toBe(10104);
    }
    await call("DELETE", `${NAMESPACES}/tenant`);
    expect((await call("GET", `${QUEUES}/${own}`)).status).toBe(404);
  });

  it("that is hidden is not shown, bound or sent to", async () => {
    const id = await made("seen");
    await runInDurableObject(hub.REGISTRY.getByName("registry"), (_, { storage }) => {
      const hide = `UPDATE resources SET settings = json_set(settings, '$.hidden', json('true')) WHERE id = ?`;
      storage.sql.exec(hide, id);
    });
    expect((await call("GET", `${QUEUES}?name=seen`)).result).toEqual([]);
    expect((await call("POST", `${QUEUES}/${id}/messages`, { body: 1 })).status).toBe(404);
    const bindings = [{ type: "queue", name: "Q", queue_name: "seen" }];
    expect((await deploy("curious", helloForm("x", { bindings }))).errors[0]?.code).toBe(10_041);
    const path = `${QUEUES}/${await made("dead-to-hidden")}/consumers`;
    const dead = { type: "http_pull", dead_letter_queue: "seen" };
    expect((await call("POST", path, dead)).status).toBe(409);
  });

  it("names the Workers that send to it", async () => {
    const id = await made("sent-to");
    const bindings = [{ type: "queue", name: "Q", queue_name: "sent-to", delivery_delay: 86_400 }];
    expect((await deploy("sender", helloForm("x", { bindings }))).errors).toEqual([]);
    expect((await call("GET", `${QUEUES}/${id}`)).result).toMatchObject({
      producers: [{ type: "worker", script: "sender", dispatch_namespace: "production" }],
      producers_total_count: 1,
    });
  });
});

describe("a consumer", () => {
  it("is one Worker, which is added, changed and removed", async () => {
    await call("PUT", `/accounts/${ACCOUNT}/workers/scripts/taker`, helloForm("x"));
    const path = `${QUEUES}/${await made("taken-from")}/consumers`;
    const settings = { batch_size: 50, max_wait_time_ms: 1_000, max_concurrency: null };
    const added = await call("POST", path, worker("taker", { settings, environment_name: "" }));
    expect(added.errors).toEqual([]);
    expect(added.result).toMatchObject({
      type: "worker",
      script: "taker",
      settings: { batch_size: 50, max_retries: 3, max_wait_time_ms: 1_000, max_concurrency: null },
    });
    expect((await call("POST", path, worker("taker"))).errors[0]?.code).toBe(11_004);
    const one = `${path}/${added.result.consumer_id}`;
    const dead = await call("PUT", one, worker("taker", { dead_letter_queue: "graves" }));
    expect(dead.result).toMatchObject({
      dead_letter_queue: "graves",
      settings: { batch_size: 10 },
    });
    // As on Cloudflare.
    expect((await call("GET", `${QUEUES}?name=graves`)).result).toHaveLength(1);
    expect((await call("GET", path)).result).toHaveLength(1);
    expect((await call("DELETE", one)).success).toBe(true);
    expect((await call("GET", one)).errors[0]?.code).toBe(930_072);
  });

  it("goes with its script, and with its queue", async () => {
    const scripts = `/accounts/${ACCOUNT}/workers/scripts`;
    await call("PUT", `${scripts}/goer`, helloForm("x"));
    const id = await made("gone-from");
    await call("POST", `${QUEUES}/${id}/consumers`, worker("goer"));
    await call("DELETE", `${scripts}/goer?force=true`);
    expect((await call("GET", `${QUEUES}/${id}`)).result.consumers).toEqual([]);
    await call("PUT", `${scripts}/goer`, helloForm("x"));
    await call("POST", `${QUEUES}/${id}/consumers`, worker("goer"));
    expect((await call("DELETE", `${QUEUES}/${id}`)).success).toBe(true);
    expect((await call("DELETE", `${scripts}/goer`)).success).toBe(true);
  });

  it("of a namespace's queue is one of its Workers; of the account's, one of any namespace that is named", async () => {
    await deploy("user-worker", helloForm("x"));
    const token = await limitedToken("of-production", { namespaces: ["production"] });
    const own = await made("of-production", { authorization: `Bearer ${token}` });
    const added = await call("POST", `${QUEUES}/${own}/consumers`, worker("user-worker"));
    expect(added.result).toMatchObject({ script: "user-worker", dispatch_namespace: "production" });
    const accounts = `${QUEUES}/${await made("of-the-account")}/consumers`;
    expect((await call("POST", accounts, worker("user-worker"))).status).toBe(404);
    const named = await call(
      "POST",
      accounts,
      worker("user-worker", { dispatch_namespace: "production" }),
    );
    expect(named.result).toMatchObject({ dispatch_namespace: "production" });
    expect((await call("DELETE", scriptPath("user-worker"))).success).toBe(true);
    expect((await call("GET", accounts)).result).toEqual([]);
  });

  it.each([
    ["no type", {}],
    ["no Worker", { type: "worker" }],
    ["a large batch", worker("x", { settings: { batch_size: 101 } })],
    ["too many retries", worker("x", { settings: { max_retries: 101 } })],
    ["a long wait", worker("x", { settings: { max_wait_time_ms: 60_001 } })],
    ["a concurrency of 0", worker("x", { settings: { max_concurrency: 0 } })],
    ["an environment", worker("x", { environment_name: "staging" })],
    ["itself for a dead letter queue", { type: "http_pull", dead_letter_queue: "checked" }],
    ["a long visibility", { type: "http_pull", settings: { visibility_timeout_ms: 50_000_000 } }],
  ])("is refused with %s", async (_what, body) => {
    const found = (await call("GET", `${QUEUES}?name=checked`)).result[0]?.queue_id as string;
    const id = found ?? (await made("checked"));
    const { status, errors } = await call("POST", `${QUEUES}/${id}/consumers`, body);
    expect([status, errors[0]?.code]).toEqual([400, 100_127]);
  });
});

describe("messages", () => {
  it("are sent, pulled, acknowledged and given back", async () => {
    const path = `${QUEUES}/${await made("pulled")}`;
    const refused = await call("POST", `${path}/messages/pull`, {});
    expect(refused.errors[0]?.code).toBe(930_073);
    await call("POST", `${path}/consumers`, {
      type: "http_pull",
      dead_letter_queue: "dead",
      settings: { max_retries: 1, visibility_timeout_ms: 60_000 },
    });
    const sent = await call("POST", `${path}/messages`, { body: { a: 1 }, content_type: "json" });
    expect(sent.result.metadata.metrics).toMatchObject({ backlog_count: 1 });
    const batch = { messages: [{ body: "ä", content_type: "text" }, { body: [2] }] };
    await call("POST", `${path}/messages/batch`, batch);
    const first = await pulled(path);
    expect(first.map(({ body, attempts, metadata }) => [body, attempts, metadata])).toEqual([
      [btoa('{"a":1}'), 1, { "CF-Content-Type": "json", "CF-sourceMessageSource": "worker" }],
      ["ä", 1, { "CF-Content-Type": "text", "CF-sourceMessageSource": "worker" }],
      [btoa("[2]"), 1, { "CF-Content-Type": "json", "CF-sourceMessageSource": "worker" }],
    ]);
    expect(await pulled(path)).toEqual([]);
    const [json, text, list] = first.map(({ lease_id }) => ({ lease_id }));
    const acked = await call("POST", `${path}/messages/ack`, {
      acks: [json, { lease_id: "1.00" }],
      retries: [text, { ...list, delay_seconds: 3_600 }],
    });
    expect(acked.result).toMatchObject({ ackCount: 1, retryCount: 2 });
    expect(Object.keys(acked.result.warnings)).toEqual(["1.00"]);
    const [again, ...more] = await pulled(path);
    expect([again?.body, again?.attempts, more]).toEqual(["ä", 2, []]);
    // As often as it may be.
    await call("POST", `${path}/messages/ack`, { retries: [{ lease_id: again?.lease_id }] });
    const dead = (await call("GET", `${QUEUES}?name=dead`)).result[0].queue_id as string;
    await expect
      .poll(async () => (await call("GET", `${QUEUES}/${dead}/metrics`)).result.backlog_count)
      .toBe(1);
    expect((await call("GET", `${path}/metrics`)).result.backlog_count).toBe(1);
  });

  it("come back when the lease ends", async () => {
    const path = `${QUEUES}/${await made("leased")}`;
    await call("POST", `${path}/consumers`, { type: "http_pull" });
    await call("POST", `${path}/messages`, { body: "x", content_type: "text" });
    const [first] = await pulled(path, { visibility_timeout_ms: 50 });
    await expect.poll(async () => (await pulled(path))[0]?.attempts).toBe(2);
    const late = await call("POST", `${path}/messages/ack`, { acks: [first] });
    expect(late.result).toMatchObject({ ackCount: 0 });
    expect(Object.keys(late.result.warnings)).toEqual([first?.lease_id]);
  });

  it("are peeked, removed one by one, and purged", async () => {
    const path = `${QUEUES}/${await made("purged")}`;
    const batch = { messages: [{ body: 1 }, { body: 2 }, { body: 3 }] };
    await call("POST", `${path}/messages/batch`, batch);
    const { messages } = (await call("POST", `${path}/messages/peek`, { batch_size: 2 })).result;
    expect(messages.map(({ body }: { body: string }) => atob(body))).toEqual(["1", "2"]);
    await call("POST", `${path}/messages/purge`, { refs: [{ ref: messages[0].ref }] });
    expect((await call("GET", `${path}/metrics`)).result.backlog_count).toBe(2);
    expect((await call("GET", `${path}/purge`)).result).toEqual({});
    expect((await call("POST", `${path}/purge`, {})).status).toBe(400);
    const asked = { delete_messages_permanently: true };
    expect((await call("POST", `${path}/purge`, asked)).result.queue_name).toBe("purged");
    expect((await call("GET", `${path}/metrics`)).result).toEqual({
      backlog_count: 0,
      backlog_bytes: 0,
      oldest_message_timestamp_ms: 0,
    });
    expect((await call("GET", `${path}/purge`)).result).toHaveProperty("completed");
  });

  it("wait for their delay, and are not given out while the queue is paused", async () => {
    const path = `${QUEUES}/${await made("delayed")}`;
    await call("POST", `${path}/consumers`, { type: "http_pull" });
    await call("PATCH", path, { settings: { delivery_delay: 3_600 } });
    const batch = { messages: [{ body: "late" }, { body: "soon", delay_seconds: 0 }] };
    await call("POST", `${path}/messages/batch`, batch);
    await call("PATCH", path, { settings: { delivery_paused: true } });
    expect(await pulled(path)).toEqual([]);
    await call("PATCH", path, { settings: { delivery_paused: false } });
    expect((await pulled(path)).map(({ body }) => atob(body))).toEqual(['"soon"']);
  });

  it.each([
    ["is too large", { body: "x".repeat(128_001), content_type: "text" }, 413, 10_204],
    ["is none", {}, 400, 10_026],
    ["has a bad type", { body: "x", content_type: "v8" }, 400, 10_026],
  ])("that %s is refused", async (_what, body, status, code) => {
    const found = (await call("GET", `${QUEUES}?name=refusing`)).result[0]?.queue_id as string;
    const path = `${QUEUES}/${found ?? (await made("refusing"))}`;
    const answer = await call("POST", `${path}/messages`, body);
    expect([answer.status, answer.errors[0]?.code]).toEqual([status, code]);
  });

  it("beyond the quota of their owner are refused", async () => {
    await call("POST", NAMESPACES, { name: "bounded" });
    await call("PUT", `${NAMESPACES}/bounded/limits`, { queue_messages: 2 });
    const token = await limitedToken("of-bounded", { namespaces: ["bounded"] });
    const headers = { authorization: `Bearer ${token}` };
    const path = `${QUEUES}/${await made("small", headers)}`;
    const batch = { messages: [{ body: 1 }, { body: 2 }] };
    expect((await call("POST", `${path}/messages/batch`, batch)).errors).toEqual([]);
    const full = await call("POST", `${path}/messages`, { body: 3 });
    expect([full.status, full.errors[0]?.code]).toEqual([507, 10_251]);
    expect(full.errors[0]?.message).toContain("bounded");
    await call("POST", `${path}/purge`, { delete_messages_permanently: true });
    expect((await call("POST", `${path}/messages`, { body: 3 })).errors).toEqual([]);
  });

  it("need the permission data, and queues deploy", async () => {
    const id = await made("guarded");
    const reader = await limitedToken("reader", { permissions: ["read"] });
    const headers = { authorization: `Bearer ${reader}` };
    expect((await call("GET", `${QUEUES}/${id}`, undefined, headers)).status).toBe(200);
    for (const [method, path] of [
      ["POST", "/messages"],
      ["POST", "/messages/pull"],
      ["POST", "/purge"],
      ["POST", "/consumers"],
      ["DELETE", ""],
    ] as const) {
      expect((await call(method, `${QUEUES}/${id}${path}`, {}, headers)).status, path).toBe(403);
    }
  });
});
