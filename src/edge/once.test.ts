import { expect, test } from "vitest";
import { Once } from "./once.ts";

test("calls at the same time share the work, later ones do it anew", async () => {
  const kept: Promise<unknown>[] = [];
  const once = new Once<number>((work) => kept.push(work));
  let runs = 0;
  const work = async () => {
    await Promise.resolve();
    return ++runs;
  };
  const [first, second] = [once.share("a", work), once.share("a", work)];
  expect([first.isFirst, second.isFirst]).toEqual([true, false]);
  expect(await Promise.all([first.result, second.result])).toEqual([1, 1]);
  expect(await once.share("a", work).result).toBe(2);
  expect(kept).toHaveLength(2);
});

test("a failure reaches all who wait, and only those", async () => {
  const once = new Once<number>(() => {});
  const fails = () => Promise.reject(new Error("no cell"));
  const calls = [once.share("a", fails), once.share("a", fails)];
  for (const { result } of calls) await expect(result).rejects.toThrow("no cell");
  expect(await once.share("a", () => Promise.resolve(7)).result).toBe(7);
});
