/**
 * What it costs a function to use what it keeps: each task in a function in an edge, in one behind the hop to a cell, and in
 * Miniflare, which take turns. A figure is the median of its turns, a ratio the median of the turns' ratios.
 */
import { convertV4MiniflareOptions, Miniflare } from "miniflare";
import { hostOf, startPlatform, type Platform } from "../platform.ts";
import { Connection, getRequest } from "../connection.ts";
import { median } from "../sample.ts";
import { repetitions, type Bench, type Section } from "../section.ts";
import type { Row } from "../table.ts";
import { d1Tasks } from "./d1.ts";
import { kvTasks } from "./kv.ts";
import { r2Tasks } from "./r2.ts";

export interface Task {
  readonly figure: string;
  /** Body of an async function of `env`: what has to be there. */
  readonly prepare: string;
  /** Body of an async function of `env` and a number: what is measured. */
  readonly once: string;
  /** Of one turn. */
  readonly times: number;
  /** As of `new Miniflare()`, version 4. */
  readonly miniflare: object;
  /** Makes the resource, and tells the bindings of the upload. */
  readonly bind: (platform: Platform) => Promise<readonly object[]>;
  /** Of the ratio in an edge. */
  readonly atMost?: number;
}

const TASKS: readonly Task[] = [...kvTasks, ...d1Tasks, ...r2Tasks];

/** Many uses in one invocation. */
const OPTIONS = ["--edges", "1", "--limits", "subrequests=10000,cpu_ms=30000"];
const COMPATIBILITY_DATE = "2026-11-01";

export const state: Section = async (bench) => {
  await using edge = await startPlatform([...OPTIONS, "--isolation", "trusted"]);
  await using cell = await startPlatform([...OPTIONS, "--isolation", "dedicated"]);
  const rows: Row[] = [];
  for (const [index, task] of TASKS.entries()) {
    const reference = new Miniflare(
      convertV4MiniflareOptions({
        modules: true,
        script: sourceOf(task),
        compatibilityDate: COMPATIBILITY_DATE,
        ...task.miniflare,
      }),
    );
    try {
      const script = `state-${index}`;
      const targets = [
        async (path: string) => (await reference.dispatchFetch(`http://task${path}`)).text(),
        await deployed(edge, script, task),
        await deployed(cell, script, task),
      ] as const;
      rows.push(...(await compare(bench, task, targets)));
    } finally {
      await reference.dispose();
    }
  }
  return rows;
};

type Ask = (path: string) => Promise<string>;

async function compare(bench: Bench, task: Task, targets: readonly Ask[]): Promise<Row[]> {
  for (const ask of targets) {
    await ask("/prepare");
    await ask(`/run?times=${task.times}`);
  }
  const taken: number[][] = targets.map(() => []);
  const turns = repetitions(bench, 15, 5);
  for (let turn = 0; turn < turns; turn++) {
    bench.progress(`${task.figure}, turn ${turn + 1} of ${turns}`);
    for (const [index, ask] of targets.entries()) {
      taken[index]?.push(Number(await ask(`/run?times=${task.times}`)) / task.times);
    }
  }
  const [reference = [], ...ours] = taken;
  return ours.map((times, index): Row => ({
    section: "state",
    figure: `${task.figure}, ${index === 0 ? "in an edge" : "in a cell"}`,
    ours: median(times),
    baseline: median(reference),
    against: "Miniflare",
    unit: "ms",
    ratio: median(times.map((time, turn) => time / (reference[turn] ?? NaN))),
    ...(index === 0 && task.atMost !== undefined && { atMost: task.atMost }),
  }));
}

async function deployed(platform: Platform, script: string, task: Task): Promise<Ask> {
  const form = new FormData();
  const metadata = {
    main_module: "index.js",
    compatibility_date: COMPATIBILITY_DATE,
    bindings: await task.bind(platform),
  };
  form.set("metadata", JSON.stringify(metadata));
  const type = "application/javascript+module";
  form.set("index.js", new File([sourceOf(task)], "index.js", { type }));
  const path = `/workers/dispatch/namespaces/production/scripts/${script}`;
  await platform.api("PUT", path, form);
  return async (asked) => {
    const connection = await Connection.open(platform);
    const { status, body } = await connection.send(getRequest(hostOf(script), asked));
    connection.close();
    const text = body.toString();
    if (status !== 200) throw new Error(`${task.figure}: ${status} ${text}`);
    return text;
  };
}

function sourceOf({ prepare, once }: Task): string {
  return `
    async function prepare(env) { ${prepare} }
    async function once(env, n) { ${once} }
    export default {
      async fetch(request, env) {
        const { pathname, searchParams } = new URL(request.url);
        if (pathname === "/prepare") {
          await prepare(env);
          return new Response("0");
        }
        const times = Number(searchParams.get("times"));
        const started = Date.now();
        for (let n = 0; n < times; n++) await once(env, n);
        return new Response(String(Date.now() - started));
      },
    };`;
}
