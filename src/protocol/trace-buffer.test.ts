import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { TraceBuffer } from "./trace-buffer.ts";
import type { TraceBatch, TraceEvent } from "./trace.ts";

const events = (count: number, from = 0) =>
  Array.from({ length: count }, (_, n) => ({ wallTime: from + n }) as TraceEvent);

beforeEach(() => {
  vi.stubGlobal("scheduler", { wait: () => Promise.resolve() });
});

afterEach(() => {
  vi.unstubAllGlobals();
});

/** `send` fails as long as `isDown`. */
function buffering() {
  const sent: TraceBatch[] = [];
  const state = { isDown: false };
  const work: Promise<unknown>[] = [];
  const buffer = new TraceBuffer((batches) => {
    if (state.isDown) return Promise.reject(new Error("down"));
    sent.push(...batches);
    return Promise.resolve();
  });
  const add = (script: string, count: number, dropped = 0) =>
    buffer.add("production", script, events(count), dropped, (task) => work.push(task));
  const idle = async () => {
    for (const task of work) await task;
  };
  return { add, buffer, idle, sent, state, work };
}

test("events go together, in order, with one flush under way", async () => {
  const { add, idle, sent, work } = buffering();
  add("a", 1);
  add("b", 2);
  add("a", 3, 7);
  await idle();
  expect(work).toHaveLength(1);
  expect(sent.map(({ script, events: { length }, dropped }) => [script, length, dropped])).toEqual([
    ["a", 4, 7],
    ["b", 2, 0],
  ]);
});

test("the loudest function loses its oldest", async () => {
  const { add, idle, sent } = buffering();
  add("quiet", 100);
  add("loud", 6_000);
  await idle();
  const of = (name: string) => sent.filter(({ script }) => script === name);
  const count = (name: string) => of(name).reduce((sum, batch) => sum + batch.events.length, 0);
  expect([count("quiet"), count("loud")]).toEqual([100, 4_900]);
  expect(of("loud").reduce((sum, { dropped }) => sum + dropped, 0)).toBe(1_100);
  expect(of("loud")[0]?.events[0]?.wallTime).toBe(1_100);
});

test("events that are large count by their size, and go in small batches", async () => {
  const { buffer, idle, sent, work } = buffering();
  const logs = [{ message: ["x".repeat(256 * 1024)], level: "log", timestamp: 0 }];
  const large = (wallTime: number) => ({ wallTime, logs }) as unknown as TraceEvent;
  const keepAlive = (task: Promise<unknown>) => work.push(task);
  buffer.add("production", "quiet", events(1), 0, keepAlive);
  buffer.add(
    "production",
    "loud",
    Array.from({ length: 300 }, (_, n) => large(n)),
    0,
    keepAlive,
  );
  await idle();
  const of = sent.filter(({ script }) => script === "loud");
  const kept = of.flatMap((batch) => batch.events);
  expect([kept.length, kept[0]?.wallTime, kept.at(-1)?.wallTime]).toEqual([123, 177, 299]);
  expect(of.reduce((sum, { dropped }) => sum + dropped, 0)).toBe(177);
  expect(Math.max(...of.map((batch) => batch.events.length))).toBe(13);
  expect(sent.filter(({ script }) => script === "quiet").flatMap((b) => b.events)).toHaveLength(1);
});

test("what could not be sent counts as dropped", async () => {
  const { add, idle, sent, state } = buffering();
  state.isDown = true;
  add("a", 3);
  await idle();
  state.isDown = false;
  add("a", 1);
  await idle();
  expect(sent.map(({ events: { length }, dropped }) => [length, dropped])).toEqual([[1, 3]]);
});
