import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { afterEach, expect, test } from "vitest";
import { WriterPause } from "./writer-pause.ts";

const children: ChildProcess[] = [];

afterEach(() => {
  for (const child of children.splice(0)) child.kill("SIGKILL");
});

async function writer() {
  const child = spawn("sleep", ["60"]);
  children.push(child);
  await once(child, "spawn");
  const made = { name: "sleeper", workerdPid: child.pid, readyAt: 1, exit: undefined };
  return {
    ...made,
    child,
    runs: () => !/\) T /.test(readFileSync(`/proc/${child.pid}/stat`, "utf8")),
  };
}

test.runIf(process.platform === "linux")("all stand still until the end of the pause", async () => {
  const writers = [await writer(), await writer()];
  const pause = new WriterPause(() => writers);
  await pause.begin();
  expect(writers.map(({ runs }) => runs())).toEqual([false, false]);
  await expect(pause.begin()).rejects.toThrow("another backup");
  let isOver = false;
  const over = pause.over().then(() => (isOver = true));
  expect(isOver).toBe(false);
  expect(pause.end()).toBe(true);
  await over;
  await expect.poll(() => writers.every(({ runs }) => runs())).toBe(true);
  expect(pause.end()).toBe(false);
});

test.runIf(process.platform === "linux")("a pause that nobody ends, ends by itself", async () => {
  const one = await writer();
  const pause = new WriterPause(() => [one], 20);
  await pause.begin();
  await expect.poll(() => one.runs()).toBe(true);
  expect(pause.end()).toBe(false);
});

test.runIf(process.platform === "linux")("it is broken by one that ends or joins", async () => {
  const first = await writer();
  const writers = [first];
  const pause = new WriterPause(() => writers);
  await pause.begin();
  writers.push(await writer());
  expect(pause.end()).toBe(false);
  await pause.begin();
  first.child.kill("SIGKILL");
  await once(first.child, "exit");
  expect(pause.end()).toBe(false);
});

test("it does not begin while one is being replaced", async () => {
  const starting = { name: "hub", workerdPid: 1, readyAt: undefined, exit: undefined };
  await expect(new WriterPause(() => [starting]).begin()).rejects.toThrow("hub is being replaced");
});
