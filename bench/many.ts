/**
 * Many more functions than there is room for: called round-robin through a budget of live isolates, each
 * doing `waitUntil` work that ends with a line in the log. Nothing may crash, grow without end, be
 * answered wrongly, or lose its work to an eviction.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { Connection, getRequest } from "./connection.ts";
import { incidents } from "./busy.ts";
import { hostOf, startPlatform } from "./platform.ts";
import { memoryOf } from "./process-usage.ts";
import { repetitions, type Section } from "./section.ts";

const BUDGET = 500;
const ROUNDS = 6;
/** After these the budget is full, and the garbage of the first evictions collected. */
const WARM_UP_ROUNDS = 2;
const WORK_MS = 200;

const source = (index: number) => `
export default {
  fetch(request, env, ctx) {
    ctx.waitUntil(scheduler.wait(${WORK_MS}).then(() => console.log("worked ${index}")));
    return new Response("function ${index}");
  },
};`;

export const many: Section = async (bench) => {
  const count = repetitions(bench, 5_000, 600);
  const budget = Math.round((BUDGET * count) / 5_000) || 60;
  await using platform = await startPlatform([
    "--isolation",
    "trusted",
    "--edges",
    "2",
    "--isolates",
    String(budget),
  ]);
  let worked = 0;
  platform.onLog((line) => {
    if (line.includes("worked")) worked++;
  });
  bench.progress(`deploying ${count} functions`);
  const names = Array.from({ length: count }, (_, index) => `many-${index}`);
  const waiting = names.entries();
  await Promise.all(
    Array.from({ length: 4 }, async () => {
      for (const [index, name] of waiting) await platform.deploy(name, source(index));
    }),
  );
  const connections = await Promise.all(Array.from({ length: 8 }, () => Connection.open(platform)));
  let wrong = 0;
  let called = 0;
  const rssMiB: number[] = [];
  for (let round = 1; round <= ROUNDS; round++) {
    bench.progress(`round ${round} of ${ROUNDS}`);
    const turns = names.entries();
    await Promise.all(
      connections.map(async (connection) => {
        for (const [index, name] of turns) {
          const { status, body } = await connection.send(getRequest(hostOf(name)));
          called++;
          if (status !== 200 || body.toString() !== `function ${index}`) wrong++;
        }
      }),
    );
    rssMiB.push(memoryOf(platform.pids("edges")).rssKiB / 1024);
  }
  for (const connection of connections) connection.close();
  await sleep(10 * WORK_MS);
  const warm = rssMiB[WARM_UP_ROUNDS] ?? 0;
  const last = rssMiB.at(-1) ?? 0;
  const section = "many";
  const all = `${count} functions through ${budget} isolates`;
  return [
    { section, figure: `${all}: wrong answers of ${called}`, ours: wrong, unit: "", atMost: 0 },
    {
      section,
      figure: `${all}: crashes and kills`,
      ours: await incidents(platform),
      unit: "",
      atMost: 0,
    },
    {
      section,
      figure: `${all}: waitUntil work lost`,
      ours: called - worked,
      unit: "",
      atMost: 0,
    },
    {
      section,
      figure: `${all}: RSS of the edges, last round`,
      ours: last,
      baseline: warm,
      against: "after warm-up",
      unit: "MiB",
      atMost: 1.1,
    },
  ];
};
