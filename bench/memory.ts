/**
 * What a loaded function that does nothing holds: memory of all edges with 500 functions loaded, less what
 * they held before, by function. A deploy loads its function, so what deploying leaves behind is in it.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { Connection, getRequest } from "./connection.ts";
import { hostOf, startPlatform } from "./platform.ts";
import { memoryOf } from "./process-usage.ts";
import { repetitions, type Section } from "./section.ts";

const SETTLE_MS = 3000;

export const memory: Section = async (bench) => {
  const count = repetitions(bench, 500, 50);
  await using platform = await startPlatform(["--isolation", "trusted", "--isolates", "1000"]);
  await platform.deploy("warm");
  const connection = await Connection.open(platform);
  for (let turn = 0; turn < 50; turn++) await connection.send(getRequest(hostOf("warm")));
  await sleep(SETTLE_MS);

  const edges = platform.pids("edges");
  const before = memoryOf(edges);
  bench.progress(`deploying ${count} functions`);
  const scripts = await platform.deployMany("idle", count);
  bench.progress(`calling ${count} functions`);
  for (const script of scripts) {
    const { status } = await connection.send(getRequest(hostOf(script)));
    if (status !== 200) throw new Error(`${script} answered ${status}`);
  }
  await sleep(SETTLE_MS);
  const after = memoryOf(edges);
  connection.close();
  if (platform.pids("edges").join() !== edges.join()) throw new Error("an edge was replaced");

  const perFunction = (key: keyof typeof after): number =>
    (after[key] - before[key]) / 1024 / count;
  const figure = `of ${count} loaded functions, each`;
  return [
    {
      section: "memory",
      figure: `RSS ${figure}`,
      ours: perFunction("rssKiB"),
      unit: "MiB",
      atMost: 3,
    },
    { section: "memory", figure: `PSS ${figure}`, ours: perFunction("pssKiB"), unit: "MiB" },
    {
      section: "memory",
      figure: "RSS of all processes, with them",
      ours: memoryOf(platform.pids()).rssKiB / 1024,
      unit: "MiB",
    },
    {
      section: "memory",
      figure: "PSS of all processes, with them",
      ours: memoryOf(platform.pids()).pssKiB / 1024,
      unit: "MiB",
    },
  ];
};
