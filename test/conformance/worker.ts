/** The Worker that runs a case: `/{suite}/{case}` answers what the case saw, in plain JSON; `/{suite}` their names. */
import { told, type Cases, type ConformanceEnv } from "./cases.ts";
import { d1Cases } from "./d1.ts";
import { kvCases } from "./kv.ts";
import { r2Cases } from "./r2.ts";

import { consume, queueCases } from "./queue.ts";
const suites: Readonly<Record<string, Cases>> = {
  kv: kvCases,
  r2: r2Cases,
  d1: d1Cases,
  queue: queueCases,
};

export default {
  queue: consume,
  async fetch(request, env) {
    const [suite = "", name] = new URL(request.url).pathname.slice(1).split("/");
    const cases = suites[suite] ?? {};
    if (name === undefined) return Response.json(Object.keys(cases));
    const run = cases[decodeURIComponent(name)];
    if (run === undefined) return new Response("no such case", { status: 404 });
    try {
      return Response.json({ answer: await told(await run(env)) });
    } catch (error) {
      return Response.json({ threw: await told(error) });
    }
  },
} satisfies ExportedHandler<ConformanceEnv>;
