import { describe, expect, test } from "vitest";
import type { QueueVerdict } from "../../protocol/events.ts";
import { decide } from "./verdict.ts";

const consumer = { maxRetries: 2, retryDelaySeconds: null };
const messages = ["a", "b", "c"].map((id, index) => ({ seq: index + 1, id, attempts: 0 }));
const silent: QueueVerdict = {
  ackAll: false,
  retryBatch: { retry: false },
  explicitAcks: [],
  retryMessages: [],
};
const all = [1, 2, 3];
const after = (delayMs: number, seqs: readonly number[] = all) =>
  seqs.map((seq) => ({ seq, delayMs }));

describe("a handler that ends well", () => {
  const ends = (said: Partial<QueueVerdict>) =>
    decide(messages, { outcome: "ok", queue: { ...silent, ...said } }, consumer);

  test("acknowledges what it says nothing of", () => {
    expect(ends({})).toEqual({ acked: all, retried: [], spent: [] });
    expect(decide(messages, { outcome: "ok" }, consumer).acked).toEqual(all);
  });

  test("gets again, and at once, what it wants to", () => {
    expect(ends({ retryMessages: [{ msgId: "b" }] })).toEqual({
      acked: [1, 3],
      retried: after(0, [2]),
      spent: [],
    });
    expect(ends({ retryBatch: { retry: true } }).retried).toEqual(after(0));
  });

  test("has the last word on single messages, whatever it says of the batch", () => {
    expect(ends({ retryBatch: { retry: true }, explicitAcks: ["a"] })).toMatchObject({
      acked: [1],
      retried: after(0, [2, 3]),
    });
    expect(ends({ ackAll: true, retryMessages: [{ msgId: "c", delaySeconds: 5 }] })).toMatchObject({
      acked: [1, 2],
      retried: after(5_000, [3]),
    });
  });

  test("sets the delay of a message before that of the batch before that of the consumer", () => {
    const own = { ...consumer, retryDelaySeconds: 30 };
    const queue = {
      ...silent,
      retryBatch: { retry: true, delaySeconds: 20 },
      retryMessages: [{ msgId: "a", delaySeconds: 10 }],
    };
    expect(decide(messages, { outcome: "ok", queue }, own).retried).toEqual([
      ...after(10_000, [1]),
      ...after(20_000, [2, 3]),
    ]);
    const plain = { ...queue, retryBatch: { retry: true } };
    expect(decide(messages, { outcome: "ok", queue: plain }, own).retried).toEqual([
      ...after(10_000, [1]),
      ...after(30_000, [2, 3]),
    ]);
  });

  test("cannot say a delay beyond a day, or before now", () => {
    const asked = (delaySeconds: number) => ends({ retryBatch: { retry: true, delaySeconds } });
    expect(asked(1e9).retried).toEqual(after(86_400_000));
    expect(asked(-5).retried).toEqual(after(0));
  });
});

describe("a handler that fails", () => {
  const fails = (said: Partial<QueueVerdict>, attempts = 0) =>
    decide(
      messages.map((message) => ({ ...message, attempts })),
      { outcome: "exception", queue: { ...silent, ...said } },
      { ...consumer, maxRetries: 100 },
    );

  test("gets all again, later each time", () => {
    expect(fails({}).retried).toEqual(after(1_000));
    expect(fails({}, 3).retried).toEqual(after(8_000));
    expect(fails({}, 50).retried).toEqual(after(60_000));
  });

  test("has acknowledged what it acknowledged before", () => {
    expect(fails({ explicitAcks: ["b"] })).toMatchObject({
      acked: [2],
      retried: after(1_000, [1, 3]),
    });
    expect(fails({ ackAll: true })).toMatchObject({ acked: all, retried: [] });
  });

  test("is heard about delays", () => {
    expect(
      fails({ retryMessages: [{ msgId: "a" }, { msgId: "b", delaySeconds: 7 }] }),
    ).toMatchObject({ retried: [...after(0, [1]), ...after(7_000, [2]), ...after(1_000, [3])] });
  });
});

test("what was tried as often as it may be is not tried again", () => {
  const tried = [0, 1, 2].map((attempts, index) => ({ seq: index, id: String(index), attempts }));
  expect(decide(tried, { outcome: "exceededCpu" }, consumer)).toEqual({
    acked: [],
    retried: [
      { seq: 0, delayMs: 1_000 },
      { seq: 1, delayMs: 2_000 },
    ],
    spent: [2],
  });
});
