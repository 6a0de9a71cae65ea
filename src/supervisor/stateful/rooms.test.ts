import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { ObjectRooms, OverQuotaError } from "./rooms.ts";

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

/** A script whose files take `bytes`, and that has room for 100. */
function make() {
  const script = { bytes: 0, measured: 0, measuringMs: 0, written: 0, isStoreAway: false };
  const exit = Promise.withResolvers<void>();
  const ended: string[] = [];
  const rooms = new ObjectRooms({
    measure: async () => {
      script.measured++;
      if (script.measuringMs > 0) await new Promise((done) => setTimeout(done, script.measuringMs));
      return script.bytes;
    },
    tell: async (_, bytes) => {
      if (script.isStoreAway) throw new Error("the store is away");
      return bytes > 100 ? "it is full" : null;
    },
    end: (scriptId) => {
      ended.push(scriptId);
      exit.resolve();
    },
    log: () => {},
  });
  return { script, exit, ended, rooms };
}

test("a process is ended when its files outgrow their room, and not before", async () => {
  const { script, ended, rooms, exit } = make();
  const watched = rooms.watch("s", exit.promise, () => script.written);
  script.bytes = script.written = 100;
  await vi.advanceTimersByTimeAsync(10_000);
  expect(ended).toEqual([]);
  script.bytes = script.written = 101;
  await vi.advanceTimersByTimeAsync(1000);
  expect(ended).toEqual(["s"]);
  await watched;
});

test("files are measured when something was written, and once more at the end", async () => {
  const { script, rooms, exit } = make();
  const watched = rooms.watch("s", exit.promise, () => script.written);
  await vi.advanceTimersByTimeAsync(10_000);
  expect(script.measured).toBe(0);
  script.written = 1;
  await vi.advanceTimersByTimeAsync(10_000);
  expect(script.measured).toBe(1);
  exit.resolve();
  await watched;
  expect(script.measured).toBe(2);
});

test("files that take long to measure are left alone for longer, unless much is written", async () => {
  const { script, rooms, exit } = make();
  script.measuringMs = 1000;
  void rooms.watch("s", exit.promise, () => script.written);
  script.written = 1;
  await vi.advanceTimersByTimeAsync(2000);
  for (; script.written < 20; script.written++) await vi.advanceTimersByTimeAsync(500);
  expect(script.measured).toBe(1);
  script.written += 2 ** 30;
  await vi.advanceTimersByTimeAsync(2000);
  expect(script.measured).toBe(2);
  exit.resolve();
});

test("no process is started without room, one is while the store is away, and then it is looked at again", async () => {
  const { script, ended, rooms, exit } = make();
  script.bytes = script.written = 101;
  await expect(rooms.require("s")).rejects.toThrow(OverQuotaError);
  script.isStoreAway = true;
  await rooms.require("s");
  void rooms.watch("s", exit.promise, () => script.written);
  await vi.advanceTimersByTimeAsync(2000);
  expect(ended).toEqual([]);
  script.isStoreAway = false;
  await vi.advanceTimersByTimeAsync(1000);
  expect(ended).toEqual(["s"]);
});
