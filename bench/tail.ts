/**
 * Where the slowest answers of workerd under load come from; docs/ has the finding. Needs no platform.
 * Raw workerd takes turns with itself under other settings of V8's garbage collector, and with plain
 * Node. Nothing but these settings differs, and while the collector works nobody gets an answer.
 *
 * One row is a warning about the ruler: wrk adds samples that were never measured wherever a request took
 * longer than the average interval of its connection ("correction for coordinated omission").
 */
import type { Baselines, Server } from "./baselines.ts";
import { getRequest } from "./connection.ts";
import { load, type LoadResult } from "./load.ts";
import { memoryOf } from "./process-usage.ts";
import { median, quantile } from "./sample.ts";
import { repetitions, type Section } from "./section.ts";
import type { Row } from "./table.ts";

const CONNECTIONS = 64;
const TURN_SECONDS = 5;

/** V8 flags in megabytes. */
const VARIANTS = {
  raw: { name: "raw workerd", start: (from: Baselines) => from.workerd() },
  young: {
    name: "workerd, small young generation",
    start: (from: Baselines) => from.workerd({ v8Flags: ["--max-semi-space-size=1"] }),
  },
  early: {
    name: "workerd, full collections early too",
    start: (from: Baselines) =>
      from.workerd({ v8Flags: ["--max-semi-space-size=1", "--initial-old-space-size=4"] }),
  },
  node: { name: "plain Node", start: (from: Baselines) => from.node() },
} as const;

type Name = keyof typeof VARIANTS;
type Figure = (result: LoadResult) => number;
const NAMES = Object.keys(VARIANTS) as Name[];

export const tail: Section = async (bench) => {
  await using stack = new AsyncDisposableStack();
  const servers = new Map<Name, Server>();
  for (const name of NAMES) {
    servers.set(name, stack.use(await VARIANTS[name].start(bench.baselines)));
  }
  const results = new Map<Name, LoadResult[]>(NAMES.map((name) => [name, []]));
  const turns = repetitions(bench, 5);
  const requests = [getRequest("localhost")];
  for (let turn = 1; turn <= turns; turn++) {
    bench.progress(`tail turn ${turn} of ${turns}`);
    for (const [name, { port }] of servers) {
      const options = { port, requests, connections: CONNECTIONS, seconds: TURN_SECONDS };
      results.get(name)?.push(await load(options));
    }
  }

  const section = "tail";
  const compare = (figure: string, name: Name, other: Name, of: Figure, unit = "ms"): Row => ({
    section,
    figure: `${figure}, ${VARIANTS[name].name}`,
    ours: median((results.get(name) ?? []).map(of)),
    baseline: median((results.get(other) ?? []).map(of)),
    against: VARIANTS[other].name,
    unit,
  });
  const rssMiB = (name: Name): number => memoryOf([servers.get(name)?.pid ?? 0]).rssKiB / 1024;
  return [
    compare("p50", "raw", "node", latency(0.5)),
    compare("p99", "raw", "node", latency(0.99)),
    compare("p99.9", "raw", "node", latency(0.999)),
    compare("longest stall", "raw", "node", longestStall),
    compare("p99 as wrk prints it", "raw", "node", (result) => quantile(asWrk(result), 0.99)),
    ...(["young", "early"] as const).flatMap((name) => [
      compare("p99", name, "raw", latency(0.99)),
      compare("p99.9", name, "raw", latency(0.999)),
      compare("longest stall", name, "raw", longestStall),
      compare("throughput", name, "raw", (result) => result.requests / result.seconds, "/s"),
      {
        section,
        figure: `RSS afterwards, ${VARIANTS[name].name}`,
        ours: rssMiB(name),
        baseline: rssMiB("raw"),
        against: VARIANTS.raw.name,
        unit: "MiB",
      },
    ]),
  ];
};

function latency(q: number): Figure {
  return ({ latencies }) => quantile(latencies.flat(), q);
}

/** The longest time in which not one of the connections got an answer. */
function longestStall({ longestStallMs }: LoadResult): number {
  return longestStallMs;
}

/** A sample of more than two intervals brings one more for each interval that it is longer. */
function asWrk({ latencies, seconds, requests }: LoadResult): number[] {
  const intervalMs = (seconds * 1000 * CONNECTIONS) / requests;
  return latencies.flat().flatMap((sample) => {
    const samples = [sample];
    for (let rest = sample - intervalMs; rest > intervalMs; rest -= intervalMs) samples.push(rest);
    return samples;
  });
}
