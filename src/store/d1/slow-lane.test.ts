import { expect, test } from "vitest";
import { SlowLane } from "./slow-lane.ts";

test("a database whose time is over is released once, and only then opened elsewhere", async () => {
  const released = Promise.withResolvers<Response>();
  const calls: string[] = [];
  const lane = {
    fetch: (url: string) => {
      calls.push(url);
      return released.promise;
    },
  };
  const slow = new SlowLane(lane as unknown as Fetcher, { over: Date.now() - 1, stays: Infinity });
  expect(await slow.keeps("stays")).toBe(true);
  const asked = [slow.keeps("over"), slow.keeps("over")];
  expect(slow.has("over")).toBe(true);
  released.resolve(new Response());
  expect(await Promise.all(asked)).toEqual([false, false]);
  expect(slow.has("over")).toBe(false);
  expect(calls).toEqual(["http://lane/release/over"]);
});
