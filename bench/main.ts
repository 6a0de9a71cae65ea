/**
 * npm run bench [-- cold warm memory start deploy tail tailing cells busy many cron queues r2 objects state durability attack fuzz] [--json] [--effort 0.2]
 *
 * Prints one table of ratios, all measured in this run, what is compared taking turns. Times in ms say
 * little on another machine; ratios do. `--effort` scales the repetitions.
 */
import { cpus, loadavg } from "node:os";
import { parseArgs } from "node:util";
import { prepareBaselines } from "./baselines.ts";
import { attack } from "./attack/main.ts";
import { busy } from "./busy.ts";
import { cells } from "./cells.ts";
import { cold } from "./cold.ts";
import { cron } from "./cron.ts";
import { deploy } from "./deploy.ts";
import { durability } from "./durability.ts";
import { fuzz } from "./fuzz/main.ts";
import { many } from "./many.ts";
import { memory } from "./memory.ts";
import { queues } from "./queues.ts";
import type { Section } from "./section.ts";
import { state } from "./state/main.ts";
import { objects } from "./objects.ts";
import { r2 } from "./r2.ts";
import { start } from "./start.ts";
import { formatTable, holds, ratioOf, type Row } from "./table.ts";
import { tail } from "./tail.ts";
import { tailing } from "./tailing.ts";
import { warm } from "./warm.ts";

const SECTIONS: Readonly<Record<string, Section>> = {
  cold,
  warm,
  memory,
  start,
  deploy,
  tail,
  tailing,
  cells,
  busy,
  many,
  queues,
  r2,
  objects,
  cron,
  attack,
  fuzz,
  state,
  durability,
};

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    json: { type: "boolean", default: false },
    effort: { type: "string", default: "1" },
  },
});
const names = positionals.length > 0 ? positionals : Object.keys(SECTIONS);
const effort = Number(values.effort);
if (!(effort > 0))
  throw new RangeError(`--effort: expected a number above 0, got ${values.effort}`);

const progress = (text: string): void => {
  process.stderr.write(`${text}\n`);
};
const [loadAverage = 0] = loadavg();
if (loadAverage > cpus().length / 4) {
  progress(`the machine is busy (load average ${loadAverage.toFixed(2)}): expect noise`);
}
const rows: Row[] = [];
await using baselines = await prepareBaselines();
for (const name of names) {
  const section = SECTIONS[name];
  if (!section) {
    throw new RangeError(`no section ${name}; there are ${Object.keys(SECTIONS).join(", ")}`);
  }
  progress(`== ${name}`);
  rows.push(...(await section({ baselines, effort, progress })));
}

if (values.json) {
  const machine = { cores: cpus().length, model: cpus()[0]?.model, node: process.version };
  const report = rows.map((row) => ({ ...row, ratio: ratioOf(row), holds: holds(row) }));
  console.log(JSON.stringify({ machine, effort, rows: report }, null, 2));
} else {
  console.log(formatTable(rows));
}
