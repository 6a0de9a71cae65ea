// Heartbeats to a server of this very process, whose CPU clock stands in for a workerd's.
import { spawn } from "node:child_process";
import { createServer, type Server } from "node:http";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, onTestFinished, test } from "vitest";
import { Heartbeats, type HeartbeatsOptions } from "./heartbeats.ts";
import type { WorkerdProcess } from "./workerd-process.ts";

let folder: string;
let server: Server;
let asked: string[];
let answer: (() => string) | undefined;
let heard: string[];

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), "skep-heartbeats-"));
  asked = [];
  heard = [];
  answer = () => JSON.stringify({ loadedIsolates: 3 });
  server = createServer((request, response) => {
    asked.push(`${request.method} ${request.url}`);
    if (answer) response.end(answer());
  });
  await new Promise<void>((resolve) => server.listen(join(folder, "control.sock"), resolve));
});
afterEach(() => {
  server.closeAllConnections();
  server.close();
  rmSync(folder, { recursive: true });
});

const cell = {
  name: "cell",
  workerdPid: process.pid,
  readyAt: 0,
  exited: new Promise(() => {}),
} as unknown as WorkerdProcess;

function heartbeats(given: Partial<HeartbeatsOptions> = {}): Heartbeats {
  return new Heartbeats({
    processes: () => [cell],
    controlSocket: () => join(folder, "control.sock"),
    mayRest: false,
    watch: {
      heartbeat: (pid) => {
        heard.push(`sent to ${pid === process.pid}`);
        return () => heard.push("answered");
      },
    },
    onHealth: (_, health) => heard.push(JSON.stringify(health)),
    onSilence: () => heard.push("silence"),
    log: (line) => heard.push(line),
    ...given,
  });
}

test("asks for the health of a process, and lets the watch know that it answered", async () => {
  await heartbeats().beat(cell);
  expect(asked).toEqual(["POST /heartbeat"]);
  expect(heard).toEqual(["sent to true", "answered", '{"loadedIsolates":3}']);
});

test("does not ask a process again that has not answered yet", async () => {
  answer = undefined;
  const given = heartbeats();
  await Promise.all([given.beat(cell, 100), given.beat(cell, 100)]);
  expect(asked).toHaveLength(1);
  expect(heard).toEqual(["sent to true"]);
});

test("says when the answer is not one, of a process that lives", async () => {
  server.close();
  server.closeAllConnections();
  rmSync(join(folder, "control.sock"), { force: true });
  await heartbeats().beat(cell);
  expect(heard.at(-1)).toMatch(/^cell: .*ENOENT/);
});

test.runIf(process.platform === "linux")(
  "leaves a process alone that has used no CPU since its last answer, where it may",
  async () => {
    const idle = spawn("sleep", ["60"]);
    onTestFinished(() => void idle.kill());
    const named = (name: string) => ({ ...cell, name, workerdPid: idle.pid }) as WorkerdProcess;
    const [resting, restless] = [named("a"), named("b")];
    const answers: string[] = [];
    const onHealth = ({ name }: WorkerdProcess) => void answers.push(name);
    const both = [
      heartbeats({ processes: () => [resting], mayRest: true, onHealth }),
      heartbeats({ processes: () => [restless], onHealth }),
    ];
    for (const each of both) each.start();
    onTestFinished(() => {
      for (const each of both) each.stop();
    });
    while (answers.filter((name) => name === "b").length < 3) {
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
    expect(answers.filter((name) => name === "a")).toEqual(["a"]);
  },
);
