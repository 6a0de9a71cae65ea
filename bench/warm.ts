/**
 * A loaded function: latency on one connection, throughput and latency on 64, CPU per request of all our
 * processes, against one workerd process that serves the same function by configuration. All
 * configurations run at the same time and take turns of a few seconds; a figure is the median of its
 * turns, a ratio the median of the turns' ratios, so that a slow moment of the machine hits both sides.
 * Then, simulated, how often functions are loaded when they are called (keep-alive/).
 */
import { getRequest } from "./connection.ts";
import { keepAliveRows } from "./keep-alive/rows.ts";
import { load, type LoadResult } from "./load.ts";
import { hostOf, startPlatform, type Platform } from "./platform.ts";
import { cpuMsOf } from "./process-usage.ts";
import { median, quantile } from "./sample.ts";
import { repetitions, type Bench, type Section } from "./section.ts";
import type { Row } from "./table.ts";

const FUNCTION = "warm";
const MANY = 64;
const TURN_SECONDS = 2;
/** As it is after 100 clean invocations and a minute. */
const PROVEN = ["--isolation", "trusted"];
const REQUESTS = [getRequest(hostOf(FUNCTION))];

/** Figures of one turn. */
interface Turn {
  readonly oneP50: number;
  readonly oneP99: number;
  readonly manyP50: number;
  readonly manyP99: number;
  readonly perSecond: number;
  readonly cpuUs: number;
}

interface Target {
  readonly name: string;
  readonly port: number;
  readonly pids: () => readonly number[];
  readonly turns: Turn[];
}

export const warm: Section = async (bench) => {
  await using raw = await bench.baselines.workerd();
  await using one = await startPlatform([...PROVEN, "--edges", "1"]);
  await using two = await startPlatform([...PROVEN, "--edges", "2"]);
  await using silent = await startPlatform([...PROVEN, "--edges", "1", "--flush-interval-ms", "0"]);
  const targets = {
    raw: { name: "raw workerd", port: raw.port, pids: () => [raw.pid], turns: [] },
    one: await target("1 edge", one),
    two: await target("2 edges", two),
    silent: await target("1 edge, no metrics", silent),
  } satisfies Record<string, Target>;
  for (const each of Object.values(targets)) await measure(each, 0.5); // compile, fill caches
  const turns = repetitions(bench, 8);
  for (let turn = 1; turn <= turns; turn++) {
    bench.progress(`warm turn ${turn} of ${turns}`);
    for (const each of Object.values(targets)) {
      (each.turns as Turn[]).push(await measure(each, TURN_SECONDS));
    }
  }

  const compare = (
    figure: string,
    key: keyof Turn,
    unit: string,
    ours: Target,
    other: Target,
  ): Row => ({
    section: "warm",
    figure: `${figure}, ${ours.name}`,
    ours: median(ours.turns.map((turn) => turn[key])),
    baseline: median(other.turns.map((turn) => turn[key])),
    against: other.name,
    unit,
    ratio: median(ours.turns.map((turn, index) => turn[key] / (other.turns[index]?.[key] ?? NaN))),
  });
  const rows = [targets.one, targets.two].flatMap((ours) => [
    compare("p50, 1 connection", "oneP50", "ms", ours, targets.raw),
    compare("p99, 1 connection", "oneP99", "ms", ours, targets.raw),
    compare(`p50, ${MANY} connections`, "manyP50", "ms", ours, targets.raw),
    compare(`p99, ${MANY} connections`, "manyP99", "ms", ours, targets.raw),
    compare(`requests per second, ${MANY} connections`, "perSecond", "/s", ours, targets.raw),
    { ...compare("CPU per request", "cpuUs", "µs", ours, targets.raw), atMost: 3 },
  ]);
  return [...rows, await metricsRow(bench, targets.one, targets.silent), ...keepAliveRows(bench)];
};

/** Five per cent are little beside the noise of a turn: many short turns, in both orders. */
async function metricsRow(bench: Bench, on: Target, off: Target): Promise<Row> {
  const used = { on: [] as number[], off: [] as number[] };
  const ratios: number[] = [];
  const pairs = repetitions(bench, 30, 10);
  bench.progress(`${pairs} pairs of turns with metrics on and off`);
  for (let pair = 0; pair < pairs; pair++) {
    const order = pair % 2 === 0 ? ([on, off] as const) : ([off, on] as const);
    const [first, second] = [await underLoad(order[0], 1), await underLoad(order[1], 1)];
    const [withMetrics, without] = pair % 2 === 0 ? [first, second] : [second, first];
    used.on.push(withMetrics.cpuUs);
    used.off.push(without.cpuUs);
    ratios.push(withMetrics.cpuUs / without.cpuUs);
  }
  return {
    section: "warm",
    figure: `CPU per request with metrics, ${on.name}`,
    ours: median(used.on),
    baseline: median(used.off),
    against: off.name,
    unit: "µs",
    ratio: median(ratios),
    atMost: 1.05,
  };
}

async function target(name: string, platform: Platform): Promise<Target> {
  await platform.deploy(FUNCTION);
  return { name, port: platform.port, pids: () => platform.pids(), turns: [] };
}

async function measure(target: Target, seconds: number): Promise<Turn> {
  const one = await load({ ...target, requests: REQUESTS, seconds: seconds / 2, connections: 1 });
  refuseFailures(one, target);
  const alone = one.latencies.flat();
  const { many, cpuUs } = await underLoad(target, seconds);
  const together = many.latencies.flat();
  return {
    oneP50: quantile(alone, 0.5),
    oneP99: quantile(alone, 0.99),
    manyP50: quantile(together, 0.5),
    manyP99: quantile(together, 0.99),
    perSecond: many.requests / many.seconds,
    cpuUs,
  };
}

/** CPU is that of all processes of the target, so what metrics cost the hub is in it. */
async function underLoad(
  target: Target,
  seconds: number,
): Promise<{ many: LoadResult; cpuUs: number }> {
  const processes = target.pids();
  const cpuMs = cpuMsOf(processes);
  const many = await load({ ...target, requests: REQUESTS, seconds, connections: MANY });
  const usedMs = cpuMsOf(processes) - cpuMs;
  refuseFailures(many, target);
  return { many, cpuUs: (usedMs * 1000) / many.requests };
}

function refuseFailures({ failures }: LoadResult, { name }: Target): void {
  if (failures > 0) throw new Error(`${name}: ${failures} requests were not answered with 200`);
}
