/**
 * Queues on the real platform, with the real wrangler: what producers send comes to consumers, through failures and kills.
 *
 * SKEP_QUEUE_MESSAGES sets how many messages go through the queue with failing handlers; `npm run bench -- queues` sends 100,000.
 */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { rm } from "node:fs/promises";
import { startPlatform, uploadForm, type Platform } from "./platform.ts";
import { all, sdkFor } from "./sdk-client.ts";
import { createProject, wrangler } from "./wrangler.ts";

const MESSAGES = Number(process.env["SKEP_QUEUE_MESSAGES"] ?? 2_000);
const SUBDOMAIN_PATH = "/workers/subdomain";

/** Sends what it is asked to, fails on what it is told to fail on, and answers with what it has got. */
const BEE = `
  const got = [];
  export default {
    async fetch(request, env) {
      const { pathname, searchParams } = new URL(request.url);
      if (pathname === "/got") return Response.json(got);
      if (pathname === "/count") return Response.json(new Set(got.map(({ body }) => body.n)).size);
      const [from, count] = ["from", "count"].map((name) => Number(searchParams.get(name)));
      const all = Array.from({ length: count }, (_, index) => ({ body: { n: from + index } }));
      for (let at = 0; at < all.length; at += 100) await env.JOBS.sendBatch(all.slice(at, at + 100));
      return Response.json({ sent: count });
    },
    async queue(batch, env) {
      const isDone = [];
      for (const message of batch.messages) {
        const { id, body, attempts } = message;
        if (body.n % 100 === 99) { message.retry(); continue; }
        got.push({ queue: batch.queue, body, attempts, id });
        isDone.push({ body });
      }
      if (env.DONE && isDone.length > 0) await env.DONE.sendBatch(isDone);
    },
  };`;

const toml = (name: string, more: string) => `
name = "${name}"
main = "index.js"
compatibility_date = "2026-11-01"
${more}`;

const JOBS = `
[[queues.producers]]
binding = "JOBS"
queue = "jobs"
delivery_delay = 0
[[queues.consumers]]
queue = "jobs"
max_batch_size = 100
max_batch_timeout = 1
max_retries = 2
dead_letter_queue = "graves"`;

let platform: Platform;
const directories: string[] = [];

async function project(name: string, more: string, source = BEE): Promise<string> {
  const directory = await createProject({
    "wrangler.toml": toml(name, more),
    "index.js": source,
  });
  directories.push(directory);
  return directory;
}

async function run(directory: string, ...args: string[]): Promise<string> {
  const { exitCode, output } = await wrangler(directory, platform.wranglerEnv, ...args);
  expect([exitCode, output], args.join(" ")).toEqual([0, output]);
  return output;
}

async function api(method: string, path: string, body?: object) {
  const response = await platform.api(method, path, body);
  const { result, errors } = (await response.json()) as {
    // oxlint-disable-next-line typescript/no-explicit-any
    result: any;
    errors: unknown[];
  };
  expect(errors, `${method} ${path}`).toEqual([]);
  return result;
}

async function idOf(queue: string): Promise<string> {
  return (await api("GET", `/queues?name=${queue}`))[0].queue_id as string;
}

async function backlog(queue: string): Promise<number> {
  return (await api("GET", `/queues/${await idOf(queue)}/metrics`)).backlog_count as number;
}

let subdomain = "";
const ask = async (script: string, path: string) =>
  (await platform.fetchHost(`${script}.${subdomain}.localhost`, path)).json();

beforeAll(async () => {
  platform = await startPlatform();
  subdomain = (await api("GET", SUBDOMAIN_PATH)).subdomain as string;
}, 60_000);

afterAll(async () => {
  await platform.stop();
  await Promise.all(directories.map((path) => rm(path, { recursive: true })));
});

describe("wrangler 4.164", { timeout: 240_000 }, () => {
  test("makes queues, shows, pauses, resumes, purges and deletes them", async () => {
    const directory = await project("nobody", "");
    await run(directory, "queues", "create", "made", "--delivery-delay-secs", "2");
    expect(await run(directory, "queues", "list")).toContain("made");
    expect(await run(directory, "queues", "info", "made")).toContain("Number of Producers: 0");
    await run(directory, "queues", "pause-delivery", "made");
    expect((await api("GET", `/queues/${await idOf("made")}`)).settings).toMatchObject({
      delivery_paused: true,
      delivery_delay: 2,
    });
    await run(directory, "queues", "resume-delivery", "made");
    await run(directory, "queues", "update", "made", "--message-retention-period-secs", "60");
    expect((await api("GET", `/queues/${await idOf("made")}`)).settings).toEqual({
      delivery_paused: false,
      delivery_delay: 2,
      message_retention_period: 60,
    });
    await api("POST", `/queues/${await idOf("made")}/messages`, { body: 1 });
    await run(directory, "queues", "purge", "made", "--force");
    expect(await backlog("made")).toBe(0);
    await run(directory, "queues", "consumer", "http", "add", "made", "--batch-size", "7");
    expect(await run(directory, "queues", "consumer", "list", "made")).toContain("HTTP pull");
    await run(directory, "queues", "consumer", "http", "remove", "made");
    await run(directory, "queues", "delete", "made");
    expect(await api("GET", "/queues?name=made")).toEqual([]);
  });

  test("deploys a Worker that sends and takes messages, and changes how it takes them", async () => {
    const directory = await project("bee", JOBS);
    await run(directory, "queues", "create", "jobs");
    const output = await run(directory, "deploy");
    expect(output).toContain("Producer for jobs");
    expect(output).toContain("Consumer for jobs");
    expect(await ask("bee", "/?from=0&count=3")).toEqual({ sent: 3 });
    await expect.poll(() => ask("bee", "/count")).toBe(3);
    const [first] = (await ask("bee", "/got")) as { queue: string; attempts: number }[];
    expect(first).toMatchObject({ queue: "jobs", attempts: 1 });
    expect(await run(directory, "queues", "info", "jobs")).toContain("worker:bee");
    // A second deploy changes the consumer that is there.
    await run(directory, "deploy");
    const [consumer] = await api("GET", `/queues/${await idOf("jobs")}/consumers`);
    expect(consumer).toMatchObject({
      script: "bee",
      dead_letter_queue: "graves",
      settings: { batch_size: 100, max_wait_time_ms: 1_000, max_retries: 2 },
    });
  });

  test("makes the queue of a binding that names none", async () => {
    const binding = `[[queues.producers]]\nbinding = "MY_QUEUE"`;
    await run(await project("provisioned", binding), "deploy");
    expect((await api("GET", "/queues?name=provisioned-my-queue"))[0]).toMatchObject({
      producers: [{ type: "worker", script: "provisioned" }],
    });
  });

  test("adds a user Worker as consumer of a queue of its namespace", async () => {
    await api("POST", "/queues?dispatch_namespace=production", { queue_name: "of-production" });
    const producer = `[[queues.producers]]\nbinding = "JOBS"\nqueue = "of-production"`;
    const directory = await project("user-bee", producer);
    await run(directory, "deploy", "--dispatch-namespace", "production");
    const add = ["queues", "consumer", "add", "of-production", "user-bee"];
    await run(directory, ...add, "--batch-timeout", "0");
    await platform.fetch("user-bee", "/?from=0&count=5");
    await expect.poll(async () => (await platform.fetch("user-bee", "/count")).json()).toBe(5);
    await run(directory, "queues", "consumer", "remove", "of-production", "user-bee");
    expect((await api("GET", "/queues?name=of-production"))[0].consumers).toEqual([]);
  });
});

test("the SDK makes queues and consumers, sends, pulls, acknowledges and purges", async () => {
  const { client, account } = sdkFor(platform);
  const { queues } = client;
  const { queue_id: id = "" } = await queues.create({ ...account, queue_name: "by-sdk" });
  expect((await all(queues.list(account))).map(({ queue_name }) => queue_name)).toContain("by-sdk");
  const settings = { delivery_delay: 0, message_retention_period: 60 };
  expect((await queues.update(id, { ...account, settings })).settings).toMatchObject(settings);
  expect((await queues.edit(id, { ...account, queue_name: "of-sdk" })).queue_name).toBe("of-sdk");
  const added = await queues.consumers.create(id, { ...account, type: "http_pull" });
  const { consumer_id: consumer = "" } = added;
  expect(await all(queues.consumers.list(id, account))).toMatchObject([{ type: "http_pull" }]);
  const of = { ...account, queue_id: id };
  const changed = { ...of, type: "http_pull", settings: { batch_size: 2 } } as const;
  expect(await queues.consumers.update(consumer, changed)).toMatchObject({
    settings: { batch_size: 2 },
  });
  expect(await queues.consumers.get(consumer, of)).toMatchObject({ consumer_id: consumer });
  await queues.messages.push(id, { ...account, body: "one", content_type: "text" });
  const messages = [{ body: { n: 2 }, content_type: "json" as const }, { body: "three" }];
  await queues.messages.bulkPush(id, { ...account, messages: messages as never });
  const peeked = await queues.messages.peek(id, { ...account, batch_size: 3 });
  expect(peeked.messages).toHaveLength(3);
  const refs = [{ ref: peeked.messages?.[2]?.ref ?? "" }];
  await queues.messages.purge(id, { ...account, refs });
  const pulled = await queues.messages.pull(id, { ...account, visibility_timeout_ms: 60_000 });
  expect(pulled.messages?.map(({ body }) => body)).toEqual(["one", btoa('{"n":2}')]);
  const acks = pulled.messages?.map(({ lease_id = "" }) => ({ lease_id })) ?? [];
  expect(await queues.messages.ack(id, { ...account, acks })).toMatchObject({ ackCount: 2 });
  expect(await queues.getMetrics(id, account)).toMatchObject({ backlog_count: 0 });
  await queues.purge.start(id, { ...account, delete_messages_permanently: true });
  expect(await queues.purge.status(id, account)).toHaveProperty("completed");
  await queues.consumers.delete(consumer, of);
  await queues.delete(id, account);
  await expect(queues.get(id, account)).rejects.toMatchObject({ status: 404 });
});

test(
  `${MESSAGES} messages with 1% of failing handlers are all acknowledged or dead`,
  { timeout: 120_000 + MESSAGES * 10 },
  async () => {
    const before = (await ask("bee", "/count")) as number;
    for (let from = 1_000_000; from < 1_000_000 + MESSAGES; from += 500) {
      await ask("bee", `/?from=${from}&count=${Math.min(500, 1_000_000 + MESSAGES - from)}`);
    }
    const failing = Math.floor(MESSAGES / 100);
    await expect.poll(() => backlog("jobs"), { timeout: 60_000 + MESSAGES * 5 }).toBe(0);
    expect((await ask("bee", "/count")) as number).toBe(before + MESSAGES - failing);
    expect(await backlog("graves")).toBe(failing);
  },
);

test("a Worker that is gone keeps nothing: messages wait, and the next version gets them", async () => {
  await api("POST", "/queues", { queue_name: "waiting" });
  const metadata = { bindings: [{ type: "queue", name: "JOBS", queue_name: "waiting" }] };
  const put = () => platform.api("PUT", "/workers/scripts/comes-back", uploadForm(BEE, metadata));
  await put();
  const path = `/queues/${await idOf("waiting")}/consumers`;
  const consumer = { type: "worker", script_name: "comes-back", settings: { max_wait_time_ms: 0 } };
  await api("POST", path, consumer);
  await api("DELETE", "/workers/scripts/comes-back");
  expect(await api("GET", path)).toEqual([]);
  await api("POST", `/queues/${await idOf("waiting")}/messages`, { body: { n: 1 } });
  await put();
  await api("POST", path, consumer);
  await expect.poll(() => ask("comes-back", "/count")).toBe(1);
});

test(
  "kills of the store, of cells and of edges lose no message",
  { timeout: 240_000 },
  async () => {
    for (const queue_name of ["killed", "done"]) await api("POST", "/queues", { queue_name });
    const bindings = [
      { type: "queue", name: "JOBS", queue_name: "killed" },
      { type: "queue", name: "DONE", queue_name: "done" },
    ];
    await platform.api("PUT", "/workers/scripts/killed-bee", uploadForm(BEE, { bindings }));
    const done = `/queues/${await idOf("done")}`;
    await api("POST", `${done}/consumers`, { type: "http_pull" });
    await api("POST", `/queues/${await idOf("killed")}/consumers`, {
      type: "worker",
      script_name: "killed-bee",
      settings: { batch_size: 20, max_wait_time_ms: 100 },
    });
    const acknowledged = new Set<number>();
    let isOver = false;
    const send = async () => {
      for (let from = 0; !isOver; from += 50) {
        const numbers = Array.from({ length: 50 }, (_, index) => from + index).filter(
          (n) => n % 100 !== 99,
        );
        const messages = numbers.map((n) => ({ body: { n } }));
        const path = `/queues/${killed}/messages/batch`;
        const answer = await platform.api("POST", path, { messages }).catch(() => undefined);
        if (answer?.ok) for (const n of numbers) acknowledged.add(n);
      }
    };
    const killed = await idOf("killed");
    const sending = send();
    for (const victim of ["store", "cell", "store", "edge", "cell", "store"] as const) {
      await new Promise((resolve) => setTimeout(resolve, 700));
      await platform.kill(victim);
    }
    await new Promise((resolve) => setTimeout(resolve, 500));
    isOver = true;
    await sending;
    await expect.poll(() => backlog("killed"), { timeout: 120_000 }).toBe(0);
    const seen = new Map<number, number>();
    for (;;) {
      const { messages } = await api("POST", `${done}/messages/pull`, { batch_size: 100 });
      if (messages.length === 0) break;
      for (const { body } of messages as { body: string }[]) {
        const { n } = JSON.parse(atob(body)) as { n: number };
        seen.set(n, (seen.get(n) ?? 0) + 1);
      }
    }
    const duplicates = [...seen.values()].reduce((sum, times) => sum + times - 1, 0);
    console.log(`${acknowledged.size} acknowledged, ${seen.size} delivered, ${duplicates} again`);
    expect(acknowledged.size).toBeGreaterThan(0);
    expect([...acknowledged].filter((n) => !seen.has(n))).toEqual([]);
  },
);
