/** Who waits for whom while changes are brought. What comes, and that all of it does, is in test/changes.test.ts. */
import { runInDurableObject } from "cloudflare:test";
import { env as bindings } from "cloudflare:workers";
import { expect, test } from "vitest";
import type { StoreConfig } from "../../protocol/store.ts";
import type { StoreEnv } from "../env.ts";

const env = bindings as unknown as StoreEnv;

function configOf(kind: StoreConfig["kind"], id: string, settings: object): StoreConfig {
  const owner = { accountId: "account", namespaceId: null, namespace: null, limits: {} };
  return { kind, id, ...owner, name: id, settings: settings as Record<string, unknown> };
}

const RULES = [{ actions: ["put"] }];

/** A KV namespace that these queues follow, and its follower. */
async function follow(queues: readonly string[]) {
  const id = crypto.randomUUID();
  const notifications = queues.map((queueId) => ({ queueId, rules: RULES }));
  const config = configOf("kv", id, { notifications });
  const kv = env.KV.getByName(id);
  await kv.configure(config);
  const follower = env.CHANGES.getByName(`kv/${id}`);
  await follower.configure(config);
  // What it was configured for is over; it would take those in turns that come meanwhile.
  await runInDurableObject(follower, (instance) => instance.alarm());
  return { id, kv, follower };
}

async function makeQueue(): Promise<string> {
  const queue = crypto.randomUUID();
  const settings = { deliveryDelaySeconds: 0, deliveryPaused: false, retentionSeconds: 3_600 };
  await env.QUEUES.getByName(queue).configure({
    ...configOf("queue", queue, settings),
    consumer: null,
  } as never);
  return queue;
}

/** As if so many keys had been put. */
function change({ kv }: Awaited<ReturnType<typeof follow>>, queues: readonly string[], n: number) {
  return runInDurableObject(kv, (_, { storage: { sql } }) => {
    sql.exec(
      `WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?)
       INSERT INTO outbox (queues, message) SELECT ?, json_object('action', 'put', 'key', i) FROM n`,
      n,
      JSON.stringify(queues),
    );
  });
}

test("queues that have much to get take turns", async () => {
  const queues = [await makeQueue(), await makeQueue()];
  const followed = await follow(queues);
  const { follower } = followed;
  await runInDurableObject(follower, (_, { storage: { sql } }) => {
    sql.exec(`CREATE TABLE steps (queue TEXT, position INTEGER)`);
    sql.exec(
      `CREATE TRIGGER step AFTER UPDATE OF position ON followers
       BEGIN INSERT INTO steps VALUES (new.queue, new.position); END`,
    );
  });
  // More than the rounds after which all begin anew.
  const count = 5_200;
  await change(followed, queues, count);
  await follower.nudge();
  const backlogs = () =>
    Promise.all(
      queues.map(async (queue) => (await env.QUEUES.getByName(queue).metrics()).backlogCount),
    );
  await expect.poll(backlogs).toEqual([count, count]);
  // The position follows what was enqueued.
  const positions = () =>
    runInDurableObject(follower, (_, { storage: { sql } }) =>
      [...sql.exec<{ position: number }>(`SELECT position FROM steps`)].map((row) => row.position),
    );
  const inTurns = Array.from({ length: count / 100 }, (_, n) => [(n + 1) * 100, (n + 1) * 100]);
  await expect.poll(positions).toEqual(inTurns.flat());
});

test("a position is set while changes come all the time, and each comes once after it", async () => {
  const queue = await makeQueue();
  const followed = await follow([queue]);
  const { follower } = followed;
  await change(followed, [queue], 6_000);
  await follower.nudge();
  expect(await follower.move(queue, 5_000)).toBe(true);
  const { backlogCount } = await env.QUEUES.getByName(queue).metrics();
  expect(backlogCount).toBeLessThanOrEqual(1_000);
  await expect.poll(() => follower.state(queue)).toEqual({ position: 6_000, waiting: 1_000 });
});
