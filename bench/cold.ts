/**
 * Cold start: a function that is not loaded, from sending its request on an open
 * connection to its answer. Against spawning a process for it. The three take turns.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { Connection, getRequest, headerOf } from "./connection.ts";
import { timeFirstAnswer } from "./baselines.ts";
import { hostOf, startPlatform } from "./platform.ts";
import { mean, quantile, sum } from "./sample.ts";
import { repetitions, type Section } from "./section.ts";
import type { Row } from "./table.ts";

const COLD_PER_SPAWN = 5;
const EVICTED_AFTER_MS = 4_000;

export const cold: Section = async (bench) => {
  const rounds = repetitions(bench, 60);
  // In the edges, and out of them again soon after each deploy, which loads its function.
  await using platform = await startPlatform(["--isolation", "trusted", "--isolates", "10"]);
  bench.progress(`deploying ${rounds * COLD_PER_SPAWN} functions`);
  const scripts = await platform.deployMany("cold", rounds * COLD_PER_SPAWN);
  // The dispatcher itself has served before; a function that is already loaded shows the way there.
  await platform.deploy("warm");
  await sleep(EVICTED_AFTER_MS);
  const connection = await Connection.open(platform);
  for (let turn = 0; turn < 50; turn++) await connection.send(getRequest(hostOf("warm")));

  const outsideMs: number[] = [];
  const phaseSumsMs: number[] = [];
  const workerdMs: number[] = [];
  const nodeMs: number[] = [];
  bench.progress(`${rounds} rounds of cold starts`);
  for (const [index, script] of scripts.entries()) {
    const request = getRequest(hostOf(script));
    const before = performance.now();
    const { status, head } = await connection.send(request);
    outsideMs.push(performance.now() - before);
    if (status !== 200) throw new Error(`${script} answered ${status}`);
    phaseSumsMs.push(sum(phasesOf(head, script)));
    if (index % COLD_PER_SPAWN === 0) {
      workerdMs.push(await timeFirstAnswer(() => bench.baselines.workerd()));
      nodeMs.push(await timeFirstAnswer(() => bench.baselines.node()));
    }
  }
  connection.close();

  const row = (figure: string, q: number, others: number[], against: string): Row => ({
    section: "cold",
    figure,
    ours: quantile(outsideMs, q),
    baseline: quantile(others, q),
    against,
    unit: "ms",
  });
  const difference = Math.abs(mean(phaseSumsMs) / mean(outsideMs) - 1);
  return [
    { ...row("cold start, p50", 0.5, workerdMs, "new workerd process"), atMost: 0.4 },
    { ...row("cold start, p50", 0.5, nodeMs, "new Node process"), atMost: 0.15 },
    row("cold start, p99", 0.99, workerdMs, "new workerd process"),
    row("cold start, p99", 0.99, nodeMs, "new Node process"),
    {
      section: "cold",
      figure: "cold start, p99 to p50",
      ours: quantile(outsideMs, 0.99),
      baseline: quantile(outsideMs, 0.5),
      against: "its own p50",
      unit: "ms",
      atMost: 3,
    },
    {
      section: "cold",
      figure: "sum of the four phases, mean",
      ours: mean(phaseSumsMs),
      baseline: mean(outsideMs),
      against: "seen from outside",
      unit: "ms",
    },
    { section: "cold", figure: "difference of these", unit: "", ratio: difference, atMost: 0.1 },
  ];
};

/** Milliseconds of each phase in a Server-Timing header such as `place;dur=0, fetch;dur=1`. */
function phasesOf(head: string, script: string): number[] {
  const header = headerOf(head, "server-timing");
  const phases = [...(header ?? "").matchAll(/;dur=([\d.]+)/g)];
  if (phases.length !== 4) throw new Error(`${script}: not a cold start; server-timing: ${header}`);
  return phases.map(([, duration]) => Number(duration));
}
