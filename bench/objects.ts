/**
 * Calls of Durable Objects from inside functions, one after the other, against Miniflare's in the same run; from
 * the script that has the class, and from another one. And the first request for a script with Durable Objects.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { convertV4MiniflareOptions, Miniflare } from "miniflare";
import { timeFirstAnswer } from "./baselines.ts";
import { Connection, getRequest } from "./connection.ts";
import { hostOf, NAMESPACE, startPlatform, type Platform } from "./platform.ts";
import { quantile } from "./sample.ts";
import { repetitions, type Section } from "./section.ts";
import type { Row } from "./table.ts";

const CALLS = 300;
/** By then every edge knows that a cell was lost. */
const LOSS_NOTED_MS = 300;
const LIMITS = { subrequests: 1000, cpu_ms: 1000 };

const CALLER = `
export default {
  async fetch(request, env) {
    const kind = new URL(request.url).searchParams.get("kind");
    if (kind === null) return new Response("ready");
    const stub = env.OBJECTS.getByName("bench");
    const call = {
      rpc: () => stub.nothing(),
      fetch: async () => void (await (await stub.fetch("http://object/")).text()),
      write: () => stub.increment(),
    }[kind];
    for (let i = 0; i < 20; i++) await call();
    const startedMs = Date.now();
    for (let i = 0; i < ${CALLS}; i++) await call();
    return new Response(String((Date.now() - startedMs) / ${CALLS}));
  },
};`;

const OWNER = `
import { DurableObject } from "cloudflare:workers";
export class Bench extends DurableObject {
  nothing() {}
  fetch() { return new Response("x"); }
  async increment() { await this.ctx.storage.put("n", ((await this.ctx.storage.get("n")) ?? 0) + 1); }
}
${CALLER}`;

const BINDING = { type: "durable_object_namespace", name: "OBJECTS", class_name: "Bench" };
const MIGRATIONS = { new_tag: "v1", steps: [{ new_sqlite_classes: ["Bench"] }] };
const COMPATIBILITY_DATE = "2026-11-01";
const KINDS = ["rpc", "fetch", "write"] as const;

export const objects: Section = async (bench) => {
  const rounds = repetitions(bench, 10);
  await using platform = await startPlatform(["--edges", "1"]);
  await deploy(platform, "owner", OWNER, { bindings: [BINDING], migrations: MIGRATIONS });
  await deploy(platform, "caller", CALLER, { bindings: [{ ...BINDING, script_name: "owner" }] });
  await platform.api("PUT", `/workers/dispatch/namespaces/${NAMESPACE}`, { isolation: "trusted" });
  const module = (name: string, script: string, binding: object) => ({
    name,
    modules: [{ type: "ESModule" as const, path: "index.js", contents: script }],
    compatibilityDate: COMPATIBILITY_DATE,
    durableObjects: { OBJECTS: { className: "Bench", useSQLite: true, ...binding } },
  });
  const miniflare = new Miniflare(
    convertV4MiniflareOptions({
      workers: [module("owner", OWNER, {}), module("caller", CALLER, { scriptName: "owner" })],
    }),
  );
  const connection = await Connection.open(platform);
  const rows: Row[] = [];
  try {
    for (const script of ["owner", "caller"]) {
      const worker = await miniflare.getWorker(script);
      for (const kind of KINDS) {
        const oursMs: number[] = [];
        const theirsMs: number[] = [];
        for (let round = 0; round < rounds; round++) {
          const path = `/?kind=${kind}`;
          const { status, body } = await connection.send(getRequest(hostOf(script), path));
          if (status !== 200) throw new Error(`${script} answered ${status}: ${String(body)}`);
          oursMs.push(Number(String(body)));
          theirsMs.push(Number(await (await worker.fetch(`http://x${path}`)).text()));
        }
        rows.push({
          section: "objects",
          figure: `${kind}, from ${script === "owner" ? "its own script" : "another script"}`,
          ours: quantile(oursMs, 0.5),
          baseline: quantile(theirsMs, 0.5),
          against: "Miniflare",
          unit: "ms",
        });
      }
    }
    const preparedMs: number[] = [];
    const killedMs: number[] = [];
    const workerdMs: number[] = [];
    const timed = async (script: string) => {
      const startedMs = performance.now();
      const { status } = await connection.send(getRequest(hostOf(script)));
      if (status !== 200) throw new Error(`${script} answered ${status}`);
      return performance.now() - startedMs;
    };
    for (let round = 0; round < rounds; round++) {
      const script = `cold-${round}`;
      await deploy(platform, script, OWNER, { bindings: [BINDING], migrations: MIGRATIONS });
      preparedMs.push(await timed(script));
      for (const pid of platform.pids("dedicated")) process.kill(pid, "SIGKILL");
      await sleep(LOSS_NOTED_MS);
      killedMs.push(await timed(script));
      workerdMs.push(await timeFirstAnswer(() => bench.baselines.workerd()));
    }
    const first = (when: string, oursMs: readonly number[]): Row => ({
      section: "objects",
      figure: `first request ${when}, p50`,
      ours: quantile(oursMs, 0.5),
      baseline: quantile(workerdMs, 0.5),
      against: "new workerd process",
      unit: "ms",
    });
    rows.push(first("after a deploy", preparedMs), first("for a cell that is not there", killedMs));
  } finally {
    connection.close();
    await miniflare.dispose();
  }
  return rows;
};

async function deploy(platform: Platform, script: string, source: string, more: object) {
  const form = new FormData();
  const metadata = {
    main_module: "index.js",
    compatibility_date: COMPATIBILITY_DATE,
    limits: LIMITS,
    ...more,
  };
  form.set("metadata", JSON.stringify(metadata));
  const type = "application/javascript+module";
  form.set("index.js", new File([source], "index.js", { type }));
  await platform.api("PUT", `/workers/dispatch/namespaces/${NAMESPACE}/scripts/${script}`, form);
}
