/**
 * Queues: what a producer can do and is refused, and what a consumer finds. The Worker that runs the cases is the consumer,
 * too: a case says what its handler does next, and looks at what it was given.
 */
import { outcome, type Cases, type ConformanceEnv } from "./cases.ts";

/** What a consumer was given, in the order of messages. */
interface Seen {
  readonly queue: string;
  readonly body: unknown;
  readonly attempts: number;
  readonly id: string;
  readonly atMs: number;
}

type Handler = (batch: MessageBatch) => unknown;

let seen: Seen[] = [];
let handle: Handler = () => {};

export async function consume(batch: MessageBatch): Promise<void> {
  for (const { body, attempts, id } of batch.messages) {
    seen.push({ queue: batch.queue, body, attempts, id, atMs: Date.now() });
  }
  await handle(batch);
}

/** What cases before this one sent has come. */
async function quiet(): Promise<void> {
  for (let before = -1; before !== seen.length; await scheduler.wait(200)) before = seen.length;
}

/** Sends, and waits until the consumer has got `count` messages and no more. */
async function consumed(
  send: () => Promise<unknown>,
  count: number,
  handler: Handler = () => {},
): Promise<Seen[]> {
  await quiet();
  const own: Seen[] = (seen = []);
  handle = handler;
  await send();
  const until = Date.now() + 20_000;
  while (own.length < count && Date.now() < until) await scheduler.wait(20);
  await scheduler.wait(150);
  handle = () => {};
  return own;
}

const bodies = (all: readonly Seen[]) => all.map(({ body }) => body);
const tries = (all: readonly Seen[]) =>
  all.map(({ queue, body, attempts }) => [queue, body, attempts]);

/** What a message of this type becomes. */
const through =
  (contentType: QueueContentType | undefined, body: unknown) =>
  async ({ QUEUE }: ConformanceEnv) => {
    const options = contentType === undefined ? {} : { contentType };
    return bodies(await consumed(() => QUEUE.send(body, options), 1));
  };

/** The store refuses with a number of its own: only that it does is the same everywhere. */
const refused = async (attempt: () => Promise<unknown>): Promise<unknown> => {
  try {
    return { taken: Object.keys((await attempt()) as object) };
  } catch (error) {
    const { name, message } = error as Error;
    return { name, hasNumber: /.+ \(\d{5}\)$/.test(message) };
  }
};

const sends =
  (body: unknown, options?: unknown) =>
  ({ QUEUE }: ConformanceEnv) =>
    outcome(async () => Object.keys(await QUEUE.send(body, options as QueueSendOptions)));

const sendsBatch =
  (messages: unknown, options?: unknown) =>
  ({ QUEUE }: ConformanceEnv) =>
    outcome(async () =>
      Object.keys(
        await QUEUE.sendBatch(
          messages as Iterable<MessageSendRequest>,
          options as QueueSendBatchOptions,
        ),
      ),
    );

const json = (count: number) => Array.from({ length: count }, (_, index) => ({ body: index }));
const text = (length: number) => ({ body: "x".repeat(length), contentType: "text" as const });

function cyclic(): object {
  const value: Record<string, unknown> = { name: "root" };
  value["self"] = value;
  return value;
}

export const queueCases: Cases = {
  "what a producer is": ({ QUEUE }) => [
    QUEUE.constructor.name,
    Object.prototype.toString.call(QUEUE),
    QUEUE.send.length,
    QUEUE.sendBatch.length,
  ],

  // What is sent
  "send() answers with metrics": async ({ QUEUE }) => {
    const { metadata } = await QUEUE.send("x");
    const { backlogCount, backlogBytes } = metadata.metrics;
    return [Object.keys(metadata), typeof backlogCount, typeof backlogBytes];
  },
  "sendBatch() answers with metrics": async ({ QUEUE }) => {
    const { metadata } = await QUEUE.sendBatch(json(2));
    const { backlogCount, backlogBytes } = metadata.metrics;
    return [Object.keys(metadata), typeof backlogCount, typeof backlogBytes];
  },
  "metrics()": async ({ QUEUE }) => {
    const { backlogCount, backlogBytes } = await QUEUE.metrics();
    return [typeof backlogCount, typeof backlogBytes];
  },
  "nothing is sent": ({ QUEUE }) => outcome(() => (QUEUE.send as () => unknown)()),
  "undefined is sent": sends(undefined),
  "options that are none: a number": sends("x", 5),
  "options that are none: a string": sends("x", "text"),
  "options that are none: null": sends("x", null),
  "an unknown content type": sends("x", { contentType: "xml" }),
  "a content type that is no string": sends("x", { contentType: 5 }),
  "null for a content type": sends("x", { contentType: null }),
  "a content type in capitals": sends("x", { contentType: "TEXT" }),
  "text that is a number": sends(5, { contentType: "text" }),
  "text that is null": sends(null, { contentType: "text" }),
  "bytes that are a string": sends("x", { contentType: "bytes" }),
  "bytes that are an array": sends([1], { contentType: "bytes" }),
  "bytes that are an ArrayBuffer": sends(new ArrayBuffer(3), { contentType: "bytes" }),
  "JSON of a bigint": sends(10n),
  "JSON of a cycle": ({ QUEUE }) => outcome(() => QUEUE.send(cyclic(), { contentType: "json" })),
  "JSON whose toJSON throws": ({ QUEUE }) =>
    outcome(() =>
      QUEUE.send({
        toJSON() {
          throw new RangeError("mine");
        },
      }),
    ),
  "JSON of a function": ({ QUEUE }) => refused(() => QUEUE.send(() => 1)),
  "v8 of a function": sends(() => 1, { contentType: "v8" }),
  "v8 of an object with a function": sends({ f: () => 1 }, { contentType: "v8" }),
  "v8 of a symbol": sends(Symbol("x"), { contentType: "v8" }),
  "v8 of a promise": ({ QUEUE }) =>
    outcome(() => QUEUE.send(Promise.resolve(1), { contentType: "v8" })),
  "v8 of a WeakMap": ({ QUEUE }) => outcome(() => QUEUE.send(new WeakMap(), { contentType: "v8" })),
  "the buffer of bytes that are sent is taken": async ({ QUEUE }) => {
    const bytes = new Uint8Array(8);
    const part = bytes.subarray(2, 4);
    await QUEUE.send(part, { contentType: "bytes" });
    return [bytes.byteLength, part.byteLength];
  },
  "the buffer of bytes in a batch stays": async ({ QUEUE }) => {
    const bytes = new Uint8Array(8);
    await QUEUE.sendBatch([{ body: bytes, contentType: "bytes" }]);
    return bytes.byteLength;
  },

  // Delays
  "a delay below 0": ({ QUEUE }) => refused(() => QUEUE.send("x", { delaySeconds: -1 })),
  "a delay of more than a day": ({ QUEUE }) =>
    refused(() => QUEUE.send("x", { delaySeconds: 86_401 })),
  "a delay that is a fraction is cut": ({ QUEUE }) =>
    refused(() => QUEUE.send("x", { delaySeconds: 0.9 })),
  "a delay that is no number counts as none": ({ QUEUE }) =>
    refused(() => QUEUE.send("x", { delaySeconds: Number.NaN })),
  "an infinite delay counts as none": ({ QUEUE }) =>
    refused(() => QUEUE.send("x", { delaySeconds: Infinity })),
  "a delay beyond 32 bits": sends("x", { delaySeconds: 2 ** 40 }),
  "a delay that is a bigint": sends("x", { delaySeconds: 5n }),
  "a delay that is a symbol": sends("x", { delaySeconds: Symbol("q") }),
  "a delay of a batch below 0": ({ QUEUE }) =>
    refused(() => QUEUE.sendBatch(json(1), { delaySeconds: -1 })),
  "a delay in a batch of more than a day": ({ QUEUE }) =>
    refused(() => QUEUE.sendBatch([{ body: 1, delaySeconds: 86_401 }])),

  // Sizes
  "the largest message": ({ QUEUE }) =>
    refused(() => QUEUE.send("x".repeat(128_000), { contentType: "text" })),
  "a message that is too large": ({ QUEUE }) =>
    refused(() => QUEUE.send("x".repeat(128_001), { contentType: "text" })),
  "a message in a batch that is too large": ({ QUEUE }) =>
    refused(() => QUEUE.sendBatch([text(128_001)])),
  "a batch of 100": ({ QUEUE }) => refused(() => QUEUE.sendBatch(json(100))),
  "a batch of 101": ({ QUEUE }) => refused(() => QUEUE.sendBatch(json(101))),
  "a batch that is too large": ({ QUEUE }) =>
    refused(() => QUEUE.sendBatch([text(100_000), text(100_000), text(100_000)])),

  // What a batch may be
  "an empty batch": sendsBatch([]),
  "a batch that is a number": sendsBatch(5),
  "a batch that is an object": sendsBatch({}),
  "a batch that is null": sendsBatch(null),
  "a batch that is a string": sendsBatch("ab"),
  "no batch": ({ QUEUE }) => outcome(() => (QUEUE.sendBatch as () => unknown)()),
  "a batch with a number in it": sendsBatch([5]),
  "a batch with a message without a body": sendsBatch([{}]),
  "a batch with a content type in capitals": sendsBatch([{ body: "x", contentType: "TEXT" }]),
  "a batch with an unknown content type": sendsBatch([{ body: "x", contentType: "xml" }]),
  "options of a batch that are none": sendsBatch([{ body: 1 }], 5),
  "a batch whose iterator throws": ({ QUEUE }) =>
    outcome(() =>
      QUEUE.sendBatch(
        (function* () {
          yield { body: 1 };
          throw new RangeError("gen");
        })(),
      ),
    ),
  "a batch from a generator arrives in order": async ({ QUEUE }) =>
    bodies(
      await consumed(
        () =>
          QUEUE.sendBatch(
            (function* () {
              for (let body = 0; body < 4; body++) yield { body };
            })(),
          ),
        4,
      ),
    ),
  "a batch from a set": async ({ QUEUE }) =>
    bodies(await consumed(() => QUEUE.sendBatch(new Set([{ body: "a" }, { body: "b" }])), 2)),

  // What arrives
  "a string as JSON": through(undefined, "plain"),
  "null as JSON": through(undefined, null),
  "an object as JSON": through("json", {
    a: [1, 2, { b: null }],
    missing: undefined,
    d: new Date(0),
  }),
  "numbers as JSON": through("json", [0, -0, 1.5, Number.NaN, Infinity, 1e21]),
  text: through("text", "Grüße, 世界 \u0007 \ud83d\ude00"),
  "empty text": through("text", ""),
  "text with half a surrogate": through("text", "a\ud800b"),
  bytes: async ({ QUEUE }) =>
    bodies(
      await consumed(() => QUEUE.send(Uint8Array.of(0, 1, 254, 255), { contentType: "bytes" }), 1),
    ),
  "bytes that are a part of a buffer": async ({ QUEUE }) =>
    bodies(
      await consumed(
        () =>
          QUEUE.sendBatch([
            { body: Uint8Array.of(1, 2, 3, 4).subarray(1, 3), contentType: "bytes" },
          ]),
        1,
      ),
    ),
  "v8: a date, a regular expression, a bigint": through("v8", [new Date(5), /a+/giu, 10n ** 20n]),
  "v8: a map and a set": through("v8", new Map<unknown, unknown>([["a", new Set([1, "b"])]])),
  "v8: undefined within": through("v8", { a: undefined, b: [undefined, null] }),
  "v8: special numbers": through("v8", [-0, Number.NaN, Infinity]),
  "v8: typed arrays": through("v8", [new Float64Array([1.5]), Uint8Array.of(1, 2)]),
  "v8: an error": through("v8", new RangeError("of range")),
  "v8: a cycle": async ({ QUEUE }) => {
    const [value] = bodies(
      await consumed(() => QUEUE.send(cyclic(), { contentType: "v8" }), 1),
    ) as [Record<string, unknown>];
    return [value["name"], value["self"] === value];
  },
  "v8: an instance of a class is a plain object": through(
    "v8",
    new (class Point {
      x = 1;
    })(),
  ),
  "types mixed in one batch": async ({ QUEUE }) =>
    bodies(
      await consumed(
        () =>
          QUEUE.sendBatch([
            { body: "t", contentType: "text" },
            { body: { j: 1 }, contentType: "json" },
            { body: new Map([[1, 2]]), contentType: "v8" },
            { body: Uint8Array.of(9), contentType: "bytes" },
          ]),
        4,
      ),
    ),

  // What a consumer finds
  "the batch": async ({ QUEUE }) => {
    let found: unknown;
    await consumed(
      () => QUEUE.send("x"),
      1,
      (batch) => {
        found = [
          batch.constructor.name,
          batch.queue,
          batch.messages.length,
          Array.isArray(batch.messages),
          typeof batch.ackAll,
          typeof batch.retryAll,
        ];
      },
    );
    return found;
  },
  "the message": async ({ QUEUE }) => {
    let found: unknown;
    const beforeMs = Date.now();
    await consumed(
      () => QUEUE.send("x"),
      1,
      ({ messages: [message] }) => {
        if (message === undefined) return;
        const { id, timestamp, attempts, body } = message;
        found = [
          message.constructor.name,
          /^[0-9a-f]{32}$/.test(id),
          timestamp instanceof Date,
          timestamp.getTime() >= beforeMs - 1 && timestamp.getTime() <= Date.now() + 1,
          attempts,
          body,
        ];
      },
    );
    return found;
  },
  "metrics of the batch": async ({ QUEUE }) => {
    let found: unknown;
    await consumed(
      () => QUEUE.send("x"),
      1,
      (batch) => {
        const { backlogCount, backlogBytes } = batch.metadata.metrics;
        found = [typeof backlogCount, typeof backlogBytes];
      },
    );
    return found;
  },
  "ids differ": async ({ QUEUE }) =>
    new Set((await consumed(() => QUEUE.sendBatch(json(3)), 3)).map(({ id }) => id)).size,
  "ten messages come in batches of five": async ({ QUEUE }) => {
    const sizes: number[] = [];
    await consumed(
      () => QUEUE.sendBatch(json(10)),
      10,
      ({ messages }) => sizes.push(messages.length),
    );
    return sizes;
  },
  "a delay": async ({ QUEUE }) => {
    const sentMs = Date.now();
    const [message] = await consumed(() => QUEUE.send("late", { delaySeconds: 1 }), 1);
    return [message?.body, message?.attempts, (message?.atMs ?? 0) - sentMs >= 950];
  },
  "a delay of one in a batch": async ({ QUEUE }) =>
    bodies(
      await consumed(
        () => QUEUE.sendBatch([{ body: "second", delaySeconds: 1 }, { body: "first" }]),
        2,
      ),
    ),
  "a delay of a batch": async ({ QUEUE }) =>
    bodies(
      await consumed(
        () =>
          QUEUE.sendBatch([{ body: "second" }, { body: "first", delaySeconds: 0 }], {
            delaySeconds: 1,
          }),
        2,
      ),
    ),

  // What a consumer decides
  "nothing said is an acknowledgement": async ({ QUEUE }) =>
    tries(await consumed(() => QUEUE.send("done"), 1)),
  "retry() of one": async ({ QUEUE }) =>
    tries(
      await consumed(
        () => QUEUE.sendBatch([{ body: "a" }, { body: "b" }]),
        3,
        ({ messages: [first] }) => {
          if (first?.attempts === 1) first.retry();
        },
      ),
    ),
  "retryAll()": async ({ QUEUE }) =>
    tries(
      await consumed(
        () => QUEUE.send("again"),
        2,
        (batch) => {
          if (batch.messages[0]?.attempts === 1) batch.retryAll();
        },
      ),
    ),
  "a throw": async ({ QUEUE }) =>
    tries(
      await consumed(
        () => QUEUE.send("thrown"),
        2,
        ({ messages: [first] }) => {
          if (first?.attempts === 1) throw new Error("no");
        },
      ),
    ),
  "a retried message keeps its id": async ({ QUEUE }) => {
    const all = await consumed(
      () => QUEUE.send("same"),
      2,
      ({ messages: [first] }) => {
        if (first?.attempts === 1) first.retry();
      },
    );
    return new Set(all.map(({ id }) => id)).size;
  },
  "retry() with a delay": async ({ QUEUE }) => {
    const [first, second] = await consumed(
      () => QUEUE.send("later"),
      2,
      ({ messages: [message] }) => {
        if (message?.attempts === 1) message.retry({ delaySeconds: 1 });
      },
    );
    return [second?.attempts, (second?.atMs ?? 0) - (first?.atMs ?? 0) >= 950];
  },
  "retryAll() with a delay": async ({ QUEUE }) => {
    const [first, second] = await consumed(
      () => QUEUE.send("later"),
      2,
      (batch) => {
        if (batch.messages[0]?.attempts === 1) batch.retryAll({ delaySeconds: 1 });
      },
    );
    return [second?.attempts, (second?.atMs ?? 0) - (first?.atMs ?? 0) >= 950];
  },
  "ack() before retry() holds": async ({ QUEUE }) =>
    tries(
      await consumed(
        () => QUEUE.send("acked"),
        1,
        ({ messages: [first] }) => {
          first?.ack();
          first?.retry();
        },
      ),
    ),
  "retry() before ack() holds": async ({ QUEUE }) =>
    tries(
      await consumed(
        () => QUEUE.send("retried"),
        2,
        ({ messages: [first] }) => {
          if (first?.attempts !== 1) return;
          first.retry();
          first.ack();
        },
      ),
    ),
  "ackAll() before retryAll() holds": async ({ QUEUE }) =>
    tries(
      await consumed(
        () => QUEUE.send("acked"),
        1,
        (batch) => {
          batch.ackAll();
          batch.retryAll();
        },
      ),
    ),
  "a message that is tried too often goes to the dead letter queue": async ({ QUEUE }) => {
    const all = await consumed(
      () => QUEUE.send({ poison: true }),
      4,
      (batch) => {
        if (batch.queue === "conformance-queue") batch.retryAll();
      },
    );
    return [tries(all), new Set(all.map(({ id }) => id)).size];
  },
};
