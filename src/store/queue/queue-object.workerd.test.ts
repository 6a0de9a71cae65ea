/** Queues as the rest of the platform does not show them: what an edge may answer, order, sources, time. */
import { runDurableObjectAlarm, runInDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { beforeEach, describe, expect, test } from "vitest";
import type { EventDelivery, EventResult, QueueVerdict } from "../../protocol/events.ts";
import type { NewMessage, QueueSettings, WorkerConsumer } from "../../protocol/queue.ts";
import type { StoreEnv } from "../env.ts";
import { enqueue } from "./enqueue.ts";

const store = env as unknown as StoreEnv;
const silent: QueueVerdict = {
  ackAll: false,
  retryBatch: { retry: false },
  explicitAcks: [],
  retryMessages: [],
};

const ok: EventResult = { ran: true, outcome: "ok" };
const unavailable: EventResult = { ran: false, reason: "unavailable", message: "lost" };
const retried = (delaySeconds = 0): EventResult => ({
  ran: true,
  outcome: "ok",
  queue: { ...silent, retryBatch: { retry: true, delaySeconds } },
});

interface Options {
  readonly settings?: Partial<QueueSettings>;
  /** null: there is none. */
  readonly consumer?: Partial<WorkerConsumer> | null;
  readonly queueMessages?: number;
}

async function configure(queue: string, { settings, consumer = {}, queueMessages }: Options = {}) {
  const config = {
    kind: "queue",
    id: queue,
    accountId: `account-of-${id}`,
    namespaceId: null,
    namespace: null,
    limits: queueMessages === undefined ? {} : { queue_messages: queueMessages },
    name: `name-of-${queue}`,
    settings: {
      deliveryDelaySeconds: 0,
      deliveryPaused: false,
      retentionSeconds: 3_600,
      ...settings,
    },
    consumer: consumer && {
      id: "consumer",
      type: "worker",
      namespace: "production",
      script: "taker",
      batchSize: 10,
      maxRetries: 2,
      retryDelaySeconds: null,
      maxWaitMs: 0,
      maxConcurrency: null,
      deadLetterQueue: null,
      ...consumer,
    },
  };
  await store.QUEUES.getByName(queue).configure(config as never);
}

/** Of each test. */
let id = "";
const made = (options: Options = {}) => configure(id, options);
const another = async (options: Options) => {
  const other = crypto.randomUUID();
  await configure(other, options);
  return other;
};

const json = (...bodies: unknown[]): NewMessage[] =>
  bodies.map((body) => ({ contentType: "json", body: JSON.stringify(body) }));

const edge = (what: string, body?: unknown) =>
  store.EDGE_0?.fetch(`http://edge/${what}/name-of-${id}`, {
    method: "POST",
    body: JSON.stringify(body),
  }) as Promise<Response>;
const answer = (...answers: EventResult[]) => edge("answers", answers);

const delivered = async () => (await edge("taken")).json<EventDelivery[]>();

/** Of all deliveries so far: bodies, and how often each was tried. */
async function taken() {
  return (await delivered()).map(({ event }) =>
    event.type === "queue"
      ? event.messages.map(({ body, attempts }) => [JSON.parse(body) as unknown, attempts])
      : [],
  );
}

const count = async (id: string) =>
  (
    await (
      await store.QUEUES.getByName(id).fetch("http://queue/metrics")
    ).json<{ backlogCount: number }>()
  ).backlogCount;

beforeEach(() => {
  id = crypto.randomUUID();
});

test("a message comes to the consumer, with all that belongs to it", async () => {
  await made();
  await enqueue(store, id, [{ contentType: "bytes", body: Uint8Array.of(34, 33, 34) }]);
  await expect.poll(() => count(id)).toBe(0);
  const [delivery] = await delivered();
  expect(delivery).toMatchObject({
    namespace: "production",
    script: "taker",
    attempt: 1,
    event: {
      type: "queue",
      queue: `name-of-${id}`,
      messages: [{ attempts: 1, contentType: "bytes", body: "IiEi" }],
      backlog: { count: 1, bytes: 3 },
    },
  });
});

describe("a delivery that did not come about", () => {
  test.each<EventResult>([
    unavailable,
    { ran: false, reason: "missing", message: "no such script" },
    { ran: false, reason: "no-handler", message: "no handler" },
    { ran: false, reason: "limited", message: "too many", retryAfterSeconds: 0.1 },
  ])("is no attempt: %o", async (result) => {
    await answer(result, result, result);
    await made({ consumer: { maxRetries: 0 } });
    await enqueue(store, id, json("a", "b"));
    await expect.poll(taken).toHaveLength(4);
    const batch = [
      ["a", 1],
      ["b", 1],
    ];
    expect(await taken()).toEqual([batch, batch, batch, batch]);
    await expect.poll(() => count(id)).toBe(0);
  });

  test("is one in the end if the process is lost each time, and those beside it get through", async () => {
    const lost: EventResult = {
      ran: false,
      reason: "unavailable",
      message: "killed",
      mayHaveRun: true,
    };
    await answer(lost, lost, ok, lost, ok, lost, lost, lost);
    const dead = await another({ consumer: null });
    await made({ consumer: { maxRetries: 0, deadLetterQueue: dead } });
    await enqueue(store, id, json("a", "deadly", "b"));
    await expect.poll(() => count(dead)).toBe(1);
    expect((await taken()).map((batch) => batch.map(([body]) => body))).toEqual([
      ["a", "deadly", "b"],
      ["a", "deadly", "b"],
      ["a"],
      ["deadly"],
      ["b"],
      ["deadly"],
      ["deadly"],
      ["deadly"],
    ]);
    await expect.poll(() => count(id)).toBe(0);
  });

  test("is made up for at once when the consumer is another one", async () => {
    await answer(...Array.from({ length: 8 }, () => unavailable));
    await made();
    await enqueue(store, id, json("a"));
    await expect.poll(taken).toHaveLength(5);
    await answer();
    // By now the next one would be 8 s later.
    await configure(id, { consumer: { script: "other" } });
    await expect.poll(() => count(id), { timeout: 3_000 }).toBe(0);
  });
});

describe("an ordered queue", () => {
  const ordered = { settings: { ordered: true as const }, consumer: { batchSize: 2 } };

  test("delivers one batch at a time, in the order of arrival", async () => {
    await made(ordered);
    await edge("close");
    await enqueue(store, id, json(1, 2, 3));
    await enqueue(store, id, json(4, 5));
    await expect.poll(taken).toHaveLength(1);
    await edge("open");
    await expect.poll(() => count(id)).toBe(0);
    expect((await taken()).map((batch) => batch.map(([body]) => body))).toEqual([
      [1, 2],
      [3, 4],
      [5],
    ]);
  });

  test("goes on with what failed, and with nothing that came after it", async () => {
    await answer(unavailable, retried(0), {
      ran: true,
      outcome: "ok",
      queue: { ...silent, explicitAcks: ["?"], retryMessages: [] },
    });
    await made(ordered);
    await enqueue(store, id, json(1, 2, 3));
    await expect.poll(() => count(id)).toBe(0);
    expect(await taken()).toEqual([
      [
        [1, 1],
        [2, 1],
      ],
      [
        [1, 1],
        [2, 1],
      ],
      [
        [1, 2],
        [2, 2],
      ],
      [[3, 1]],
    ]);
  });

  test("gives up what was tried too often", async () => {
    await answer(retried(), retried(), retried());
    const dead = await another({ consumer: null });
    await made({ ...ordered, consumer: { batchSize: 1, deadLetterQueue: dead } });
    await enqueue(store, id, json(1, 2));
    await expect.poll(() => count(id)).toBe(0);
    expect(await taken()).toEqual([[[1, 1]], [[1, 2]], [[1, 3]], [[2, 1]]]);
    expect(await count(dead)).toBe(1);
  });
});

test("of a source, each number is taken once", async () => {
  await made({ consumer: null });
  const numbered = (...numbers: number[]) =>
    numbers.map((sequence) => ({ contentType: "json", body: "0", sequence }) as const);
  await enqueue(store, id, numbered(1, 2), "bucket");
  await enqueue(store, id, numbered(1, 2, 5), "bucket");
  await enqueue(store, id, numbered(5), "bucket");
  await enqueue(store, id, numbered(1), "database");
  await enqueue(store, id, json(0));
  expect(await count(id)).toBe(5);
});

describe("the dead letter queue", () => {
  test("gets a message once, as it was, when there is one", async () => {
    await answer(retried());
    const dead = crypto.randomUUID();
    await made({ consumer: { maxRetries: 0, deadLetterQueue: dead } });
    await enqueue(store, id, [{ contentType: "text", body: '"x"', id: "of-old", timestampMs: 5 }]);
    await expect.poll(taken).toHaveLength(1);
    // It does not exist: the message waits.
    expect(await count(id)).toBe(1);
    await configure(dead, { consumer: null });
    await expect.poll(() => count(id)).toBe(0);
    const [found, ...more] = await store.QUEUES.getByName(dead).peek(10);
    expect(more).toEqual([]);
    expect(found).toMatchObject({ id: "of-old", timestampMs: 5, body: '"x"', contentType: "text" });
  });

  test("gets what was kept for too long; without one it is dropped", async () => {
    const dead = await another({ consumer: null });
    await made({
      settings: { deliveryPaused: true },
      consumer: { deadLetterQueue: dead },
    });
    const none = await another({ consumer: null });
    for (const queue of [id, none]) {
      await enqueue(store, queue, json("old"));
      const stub = store.QUEUES.getByName(queue);
      await runInDurableObject(stub, (_, { storage }) => {
        storage.sql.exec(`UPDATE messages SET stored = stored - 3600001`);
      });
      await enqueue(store, queue, json("new"));
      await runDurableObjectAlarm(stub);
      await expect.poll(() => count(queue)).toBe(1);
    }
    await expect.poll(() => count(dead)).toBe(1);
  });
});

describe("what is under way", () => {
  test("is as many batches as the consumer allows", async () => {
    await made({ consumer: { batchSize: 1, maxConcurrency: 2 } });
    await edge("close");
    await enqueue(store, id, json(1, 2, 3, 4));
    await expect.poll(taken).toHaveLength(2);
    await edge("open");
    await expect.poll(() => count(id)).toBe(0);
    expect((await taken()).length).toBe(4);
  });

  test("is delivered again by another life of the object", async () => {
    await made();
    await edge("close");
    await enqueue(store, id, json("a"));
    await expect.poll(taken).toHaveLength(1);
    await runInDurableObject(store.QUEUES.getByName(id), (_, ctx) => {
      ctx.abort("as a kill would");
    }).catch(() => {
      // That is what it is for.
    });
    expect(await count(id)).toBe(1);
    await expect.poll(taken).toHaveLength(2);
    expect(await taken()).toEqual([[["a", 1]], [["a", 1]]]);
    await edge("open");
    await expect.poll(() => count(id)).toBe(0);
  });

  test("does not hold up what is paused, purged or deleted", async () => {
    await made({ consumer: { batchSize: 1, maxConcurrency: 1 } });
    await edge("close");
    await enqueue(store, id, json(1, 2));
    await expect.poll(taken).toHaveLength(1);
    await configure(id, { settings: { deliveryPaused: true } });
    await store.QUEUES.getByName(id).purge();
    expect(await count(id)).toBe(0);
    await store.QUEUES.getByName(id).configure(null);
    await edge("open");
    await expect(enqueue(store, id, json(3))).rejects.toThrow("this queue does not exist");
    expect(await taken()).toHaveLength(1);
  });
});

test("a batch waits for others, no longer than it may", async () => {
  await made({ consumer: { batchSize: 3, maxWaitMs: 400 } });
  await enqueue(store, id, json(1, 2));
  expect(await taken()).toEqual([]);
  await expect.poll(() => count(id)).toBe(0);
  await enqueue(store, id, json(3));
  await enqueue(store, id, json(4, 5, 6));
  await expect.poll(() => count(id)).toBe(0);
  expect((await taken()).map((batch) => batch.length)).toEqual([2, 3, 1]);
});

test("beyond the quota nothing is taken, and room that is free again is", async () => {
  await made({ consumer: null, queueMessages: 3 });
  await enqueue(store, id, json(1, 2));
  await expect(enqueue(store, id, json(3, 4))).rejects.toThrow(/queue_messages|messages/);
  await store.QUEUES.getByName(id).purge();
  await enqueue(store, id, json(3, 4));
  expect(await count(id)).toBe(2);
});

test.each([
  ["message", 200_000, 10204],
  ["batch", 2_000_000, 10205],
])(
  "a %s that is too large is read to its end, so that its sender reads the refusal",
  async (path, bytes, code) => {
    await made();
    const { readable, writable } = new FixedLengthStream(bytes);
    const sent = new Response("x".repeat(bytes)).body?.pipeTo(writable);
    const headers = { "X-Msg-Fmt": "text", "Content-Length": String(bytes) };
    const init = { method: "POST", body: readable, headers };
    const response = await store.QUEUES.getByName(id).fetch(`http://queue/${path}`, init);
    expect([response.status, response.headers.get("CF-Queues-Error-Code")]).toEqual([
      413,
      `${code}`,
    ]);
    await expect(sent).resolves.toBeUndefined();
  },
);

test("a message that comes back is behind none that was taken, whatever the clock does", async () => {
  await answer(retried(), ok);
  await made({ consumer: { batchSize: 1, maxConcurrency: 1 } });
  await enqueue(store, id, json(...Array.from({ length: 20 }, (_, n) => n)));
  await expect.poll(() => count(id)).toBe(0);
  expect((await taken()).length).toBe(21);
});
