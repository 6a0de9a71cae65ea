/**
 * How often calls find their isolate loaded, against the memory that idle isolates take, for the keep-alive
 * policies. Simulated: the same at every run. Memory is in isolates; one takes about 2 MB.
 */
import { HybridKeepAlive } from "../../src/cell/keep-alive-hybrid.ts";
import { FixedKeepAlive, LruKeepAlive, type KeepAlive } from "../../src/cell/keep-alive.ts";
import { quantile } from "../sample.ts";
import { repetitions, type Bench } from "../section.ts";
import type { Row } from "../table.ts";
import { createPopulation } from "./population.ts";
import { createRandom } from "./random.ts";
import { replay, type ReplayResult } from "./replay.ts";
import { createTrace } from "./trace.ts";

const SEED = 1;
const FUNCTIONS = 1_000;
/** Of two edges together. */
const BUDGET = 1_000;
const DAYS = 3;

export function keepAliveRows(bench: Bench): Row[] {
  const days = repetitions(bench, DAYS, 1);
  bench.progress(`${days} simulated days of ${FUNCTIONS} functions under each keep-alive policy`);
  const random = createRandom(SEED);
  const trace = createTrace(random, createPopulation(random, FUNCTIONS), days);
  const fixed = replay(trace, new FixedKeepAlive(), BUDGET);
  const compare = (name: string, policy: KeepAlive): Row[] => {
    const result = replay(trace, policy, BUDGET);
    const row = (figure: string, unit: string, of: (result: ReplayResult) => number): Row => ({
      section: "warm",
      figure: `simulated: ${figure}, ${name}`,
      ours: of(result),
      baseline: of(fixed),
      against: "fixed 10 min",
      unit,
    });
    return [
      row("cold calls in a million", "", coldPerMillion),
      row("cold calls of the function at 75%", "%", coldAtThirdQuartile),
      row("idle isolates on average", "", ({ wastedMs }) => wastedMs / trace.durationMs),
      row("isolates on average", "", ({ loadedMs }) => loadedMs / trace.durationMs),
      row("isolates at most", "", ({ peakLoaded }) => peakLoaded),
    ];
  };
  return [
    ...compare("hybrid", new HybridKeepAlive({ prewarms: true })),
    ...compare("hybrid that loads nothing in advance", new HybridKeepAlive()),
    ...compare("LRU", new LruKeepAlive()),
  ];
}

function coldPerMillion({ coldCalls, calls }: ReplayResult): number {
  return (1e6 * coldCalls) / calls;
}

/** Three quarters of the functions do not have a larger share of cold calls. */
function coldAtThirdQuartile({ coldShares }: ReplayResult): number {
  return 100 * quantile(coldShares, 0.75);
}
