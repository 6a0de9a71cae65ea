/**
 * What it costs to be watched: a function that writes 1,000 lines a second is tailed by five clients while another one
 * serves as many requests as it can. Turns with and without tails alternate; the lines are written in both. A client
 * that keeps up must get every line.
 */
import { fork, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { Connection, getRequest } from "./connection.ts";
import { load } from "./load.ts";
import { hostOf, NAMESPACE, startPlatform, type Platform } from "./platform.ts";
import { median } from "./sample.ts";
import { repetitions, type Section } from "./section.ts";

const CLIENTS = 5;
const LINES_PER_CALL = 10;
const CALLS_PER_SECOND = 100;
const REQUESTS = 20_000;
const CONNECTIONS = 64;
const TURN_SECONDS = 4;
/** Until the last events are through. */
const SETTLE_MS = 2_000;

const LOUD = `export default { fetch(request) {
  for (let n = 0; n < ${LINES_PER_CALL}; n++) console.log("line", n, "of", request.url);
  return new Response("ok");
} };`;

export const tailing: Section = async (bench) => {
  await using platform = await startPlatform(["--isolation", "trusted"]);
  await platform.deploy("quiet");
  await platform.deploy("loud", LOUD);
  await turn(platform, 1);
  const ratios: number[] = [];
  const rates = { watched: [] as number[], alone: [] as number[] };
  let written = 0;
  let fewest = Infinity;
  let served = 0;
  const pairs = repetitions(bench, 8);
  for (let pair = 1; pair <= pairs || served < REQUESTS; pair++) {
    bench.progress(`tailing pair ${pair} of ${pairs}`);
    const alone = pair % 2 === 0 ? await turn(platform, TURN_SECONDS) : undefined;
    const readers = await startReaders(platform);
    const watched = await turn(platform, TURN_SECONDS);
    const counts = await readers.stop();
    const other = alone ?? (await turn(platform, TURN_SECONDS));
    rates.watched.push(watched.perSecond);
    rates.alone.push(other.perSecond);
    ratios.push(watched.perSecond / other.perSecond);
    served += watched.requests;
    written += watched.lines;
    fewest = Math.min(fewest, ...counts.map((count) => count / watched.lines));
  }
  const section = "tailing";
  const seconds = ratios.length * TURN_SECONDS;
  bench.progress(`${served} requests and ${written} lines in ${seconds} s with tails`);
  return [
    {
      section,
      figure: `time per request, ${CLIENTS} tails of ${LINES_PER_CALL * CALLS_PER_SECOND} lines/s`,
      ours: 1e6 / median(rates.watched),
      baseline: 1e6 / median(rates.alone),
      against: "without tails",
      unit: "µs",
      ratio: 1 / median(ratios),
      // Throughput of 0.9.
      atMost: 1 / 0.9,
    },
    {
      section,
      figure: "lines written",
      ours: 1,
      baseline: fewest,
      against: "got by the tail that got least",
      unit: "",
      atMost: 1,
    },
  ];
};

async function turn(platform: Platform, seconds: number) {
  const { port } = platform;
  const requests = [getRequest(hostOf("quiet"))];
  const [result, calls] = await Promise.all([
    load({ port, requests, connections: CONNECTIONS, seconds }),
    talk(port, seconds),
  ]);
  if (result.failures > 0) throw new Error(`${result.failures} requests failed`);
  const perSecond = result.requests / result.seconds;
  return { requests: result.requests, perSecond, lines: calls * LINES_PER_CALL };
}

/** At a fixed rate, however long the answers take. */
async function talk(port: number, seconds: number): Promise<number> {
  const connection = await Connection.open({ port });
  const request = getRequest(hostOf("loud"));
  const startedMs = performance.now();
  const calls = seconds * CALLS_PER_SECOND;
  for (let call = 0; call < calls; call++) {
    const waitMs = startedMs + (call * 1000) / CALLS_PER_SECOND - performance.now();
    if (waitMs > 0) await sleep(waitMs);
    const { status } = await connection.send(request);
    if (status !== 200) throw new Error(`a line was answered with ${status}`);
  }
  connection.close();
  return calls;
}

/** In a process of their own, since the load generator is busy. */
async function startReaders(platform: Platform) {
  const path = `/workers/dispatch/namespaces/${NAMESPACE}/scripts/loud/tails`;
  const tails = (await Promise.all(
    Array.from({ length: CLIENTS }, () => platform.api("POST", path, { filters: [] })),
  )) as { id: string; url: string }[];
  const child: ChildProcess = fork(
    join(import.meta.dirname, "tailing-readers.ts"),
    tails.map(({ url }) => url),
  );
  await once(child, "message");
  return {
    async stop(): Promise<number[]> {
      await sleep(SETTLE_MS);
      const counted = once(child, "message");
      child.send("count");
      const [counts] = (await counted) as [number[]];
      const exited = once(child, "exit");
      child.disconnect();
      await exited;
      for (const { id } of tails) await platform.api("DELETE", `${path}/${id}`);
      return counts;
    },
  };
}

function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
