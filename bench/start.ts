/**
 * From starting the platform on a directory that has data to the first answer of a function, with 1 and
 * with 1000 functions deployed, against a bare workerd that serves one function by configuration. All are
 * asked again and again until they answer.
 */
import type { ChildProcess } from "node:child_process";
import { rm } from "node:fs/promises";
import { createServer, type AddressInfo } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import type { Baselines } from "./baselines.ts";
import { Connection, getRequest } from "./connection.ts";
import {
  hostOf,
  makeDataDirectory,
  reachPlatform,
  spawnPlatform,
  stopPlatform,
} from "./platform.ts";
import { median } from "./sample.ts";
import { repetitions, type Section } from "./section.ts";

const ASK_EVERY_MS = 2;
const LIMIT_MS = 60_000;

export const start: Section = async (bench) => {
  const rounds = repetitions(bench, 10);
  const many = repetitions(bench, 1000, 50);
  const [few, full] = [await makeDataDirectory(), await makeDataDirectory()];
  try {
    await fill(few, 1);
    bench.progress(`deploying ${many} functions`);
    await fill(full, many);
    const bareMs: number[] = [];
    const npmMs: number[] = [];
    const fewMs: number[] = [];
    const fullMs: number[] = [];
    for (let round = 1; round <= rounds; round++) {
      bench.progress(`start round ${round} of ${rounds}`);
      bareMs.push(await timeBareStart(bench.baselines));
      npmMs.push(await timeStart(few, { npm: true }));
      if (round % 2 === 0) fullMs.push(await timeStart(full));
      fewMs.push(await timeStart(few));
      if (round % 2 === 1) fullMs.push(await timeStart(full));
    }
    const section = "start";
    const bare = { baseline: median(bareMs), against: "bare workerd", unit: "ms" };
    return [
      { section, figure: "npm start to first answer", ours: median(npmMs), ...bare, atMost: 10 },
      { section, figure: "node dist/cli.js start", ours: median(fewMs), ...bare },
      {
        section,
        figure: `${many} functions deployed`,
        ours: median(fullMs),
        baseline: median(fewMs),
        against: "1 function deployed",
        unit: "ms",
        atMost: 1.2,
      },
    ];
  } finally {
    await rm(few, { recursive: true, force: true });
    await rm(full, { recursive: true, force: true });
  }
};

async function fill(data: string, functions: number): Promise<void> {
  const child = spawnPlatform(data, ["--port", "0"]);
  try {
    const platform = await reachPlatform(data, child);
    await platform.deployMany("fn", functions);
  } finally {
    await stopPlatform(data, child);
  }
}

async function timeStart(data: string, options?: { npm: boolean }): Promise<number> {
  const port = await freePort();
  const before = performance.now();
  const child = spawnPlatform(data, ["--port", String(port)], options);
  try {
    await firstAnswer(port, child);
    return performance.now() - before;
  } finally {
    await stopPlatform(data, child);
  }
}

async function timeBareStart(baselines: Baselines): Promise<number> {
  const port = await freePort();
  const before = performance.now();
  const answered = firstAnswer(port).then(() => performance.now() - before);
  const [server, elapsed] = await Promise.all([baselines.workerd({ port }), answered]);
  await server[Symbol.asyncDispose]();
  return elapsed;
}

/** Resolves when function `fn-0` answers on `port`. */
async function firstAnswer(port: number, child?: ChildProcess): Promise<void> {
  const end = performance.now() + LIMIT_MS;
  const request = getRequest(hostOf("fn-0"));
  while (performance.now() < end) {
    if (child && child.exitCode !== null) throw new Error(`it ended with code ${child.exitCode}`);
    try {
      const connection = await Connection.open({ port });
      const { status } = await connection.send(request);
      connection.close();
      if (status === 200) return;
    } catch {
      // ECONNREFUSED or a reset: nobody serves yet.
    }
    await sleep(ASK_EVERY_MS);
  }
  throw new Error(`no answer on port ${port} within ${LIMIT_MS} ms`);
}

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}
