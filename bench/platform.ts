/**
 * The platform under test: the real one, started by its command line on a directory of its own, spoken to
 * over the API and by HTTP as anyone would.
 */
import { execFile, spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { promisify } from "node:util";
import { readProcessList } from "../src/supervisor/process-list.ts";
import { functionSource } from "./function-source.ts";

export const ROOT = join(import.meta.dirname, "..");
export const NAMESPACE = "production";
const NODE = join(ROOT, "node_modules/.bin/node");
const CLI = join(ROOT, "dist/cli.js");
const LOG_CHARACTERS = 4000;
const STOP_LIMIT_MS = 10_000;
const DEPLOYS_AT_ONCE = 4;

const run = promisify(execFile);

export interface Platform extends AsyncDisposable {
  readonly data: string;
  /** What `skep env` prints. */
  readonly env: Readonly<Record<string, string>>;
  /** Port that functions are served on over HTTP. */
  readonly port: number;
  /** Resolves when the deploy is acknowledged. */
  deploy(script: string, source?: string): Promise<void>;
  /** Deploys `count` copies of the 1 KB function, named `<prefix>-0` and so on. Returns the names. */
  deployMany(prefix: string, count: number): Promise<string[]>;
  /** Calls the API as the operator; `path` follows the account. Resolves with `result`. */
  api(method: string, path: string, body?: FormData | object): Promise<unknown>;
  /** What Prometheus reads. */
  metrics(): Promise<string>;
  /** Hears each line that functions log from now on. */
  onLog(listener: (line: string) => void): void;
  /** Every process of the platform, the supervisor included, or only some. */
  pids(which?: "all" | "edges" | "dedicated" | "supervisor"): number[];
}

/** Host header that leads to a script. */
export function hostOf(script: string, namespace = NAMESPACE): string {
  return `${script}.${namespace}.localhost`;
}

export function makeDataDirectory(): Promise<string> {
  return mkdtemp(join(tmpdir(), "skep-bench-data-"));
}

/** A new platform on a new directory, which goes away with it. */
export async function startPlatform(options: readonly string[] = []): Promise<Platform> {
  const data = await makeDataDirectory();
  const child = spawnPlatform(data, ["--port", "0", ...options]);
  const platform = await reachPlatform(data, child).catch(async (error: unknown) => {
    await stopPlatform(data, child);
    throw error;
  });
  return {
    ...platform,
    async [Symbol.asyncDispose]() {
      await stopPlatform(data, child);
      await rm(data, { recursive: true, force: true });
    },
  };
}

/** `npm` true: by `npm start`, which adds what npm itself takes. */
export function spawnPlatform(
  data: string,
  options: readonly string[],
  { npm = false } = {},
): ChildProcess {
  if (!existsSync(CLI)) throw new Error("dist/cli.js is missing: run npm run build first");
  const start = ["--data", data, "--https-port", "0", "--api-port", "0", ...options];
  const [program, parameters] = npm
    ? (["npm", ["start", "--silent", "--", ...start]] as const)
    : ([NODE, [CLI, "start", ...start]] as const);
  const child = spawn(program, parameters, { cwd: ROOT, stdio: ["ignore", "pipe", "pipe"] });
  // Nobody may listen, and a full pipe would stop it.
  child.stdout?.resume();
  // What it logs is of interest only if it ends.
  let log = "";
  child.stderr?.on("data", (text) => (log = (log + String(text)).slice(-LOG_CHARACTERS)));
  child.once("exit", (code) => {
    if (code) process.stderr.write(log);
  });
  return child;
}

/** Ends the platform that `child` started on `data`; `child` may be npm, which is not the supervisor. */
export async function stopPlatform(data: string, child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exited = once(child, "exit");
  const supervisor = readProcessList(join(data, "run"))?.supervisor ?? child.pid;
  if (supervisor !== undefined) process.kill(supervisor, "SIGTERM");
  const limit = setTimeout(() => child.kill("SIGKILL"), STOP_LIMIT_MS);
  await exited;
  clearTimeout(limit);
}

/** Waits until the platform that `child` starts on `data` is ready. */
export async function reachPlatform(
  data: string,
  child: ChildProcess,
): Promise<Omit<Platform, typeof Symbol.asyncDispose>> {
  const ended = once(child, "exit").then(([code]) => {
    throw new Error(`the platform ended with code ${String(code)} before it was ready`);
  });
  ended.catch(() => undefined); // It also ends after it was ready.
  await Promise.race([run(NODE, [CLI, "status", "--data", data, "--wait"]), ended]);
  const env = await readEnv(data);
  const account = `${env.CLOUDFLARE_API_BASE_URL}/accounts/${env.CLOUDFLARE_ACCOUNT_ID}`;
  const authorization = `Bearer ${env.CLOUDFLARE_API_TOKEN}`;

  const api = async (method: string, path: string, body?: FormData | object): Promise<unknown> => {
    const isForm = body === undefined || body instanceof FormData;
    const answer = await fetch(`${account}${path}`, {
      method,
      headers: isForm ? { authorization } : { authorization, "content-type": "application/json" },
      ...(body === undefined ? {} : { body: isForm ? body : JSON.stringify(body) }),
    });
    const text = await answer.text();
    if (!answer.ok) throw new Error(`${method} ${path} was answered ${answer.status}: ${text}`);
    return (JSON.parse(text) as { result: unknown }).result;
  };
  const deploy = async (script: string, source = functionSource()): Promise<void> => {
    const form = new FormData();
    const metadata = { main_module: "main.js", compatibility_date: "2026-11-01", bindings: [] };
    form.set("metadata", JSON.stringify(metadata));
    form.set("main.js", new File([source], "main.js", { type: "application/javascript+module" }));
    await api("PUT", `/workers/dispatch/namespaces/${NAMESPACE}/scripts/${script}`, form);
  };

  return {
    data,
    env,
    port: Number(new URL(String(env.SKEP_URL)).port),
    api,
    deploy,
    async deployMany(prefix, count) {
      const names = Array.from({ length: count }, (_, index) => `${prefix}-${index}`);
      const waiting = names.values();
      const worker = async (): Promise<void> => {
        for (const name of waiting) await deploy(name);
      };
      await Promise.all(Array.from({ length: DEPLOYS_AT_ONCE }, worker));
      return names;
    },
    async metrics() {
      const answer = await fetch(new URL("/metrics", env.CLOUDFLARE_API_BASE_URL), {
        headers: { authorization },
      });
      if (!answer.ok) throw new Error(`/metrics was answered ${answer.status}`);
      return answer.text();
    },
    onLog(listener) {
      if (child.stdout) createInterface({ input: child.stdout }).on("line", listener);
    },
    pids(which = "all") {
      const list = readProcessList(join(data, "run"));
      if (!list) throw new Error(`no platform runs on ${data}`);
      const { supervisor, all, cells } = list;
      return {
        all: [supervisor, ...all.map(({ pid }) => pid)],
        edges: list.edges.filter((pid) => pid !== null),
        dedicated: cells.dedicated.map(({ pid }) => pid),
        supervisor: [supervisor],
      }[which];
    },
  };
}

/** What `skep env` prints: lines of `export NAME=value`. */
async function readEnv(data: string): Promise<Readonly<Record<string, string>>> {
  const { stdout } = await run(NODE, [CLI, "env", "--data", data]);
  const lines = [...stdout.matchAll(/^export (\w+)=(.*)$/gm)];
  return Object.fromEntries(
    lines.map(([, name, value]) => [name, String(value).replace(/^(['"])(.*)\1$/, "$2")]),
  );
}
