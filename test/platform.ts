/**
 * Starts the real platform for a test: the built command line, on free ports, with a data directory of its
 * own. Everything a test learns of it, it learns as a person would: by `skep status`, `skep env`, the API.
 */
import { execFile, spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { send, type Outgoing } from "./http.ts";

const CLI = join(import.meta.dirname, "../dist/cli.js");
const STOP_TIMEOUT_MS = 40_000;

const run = promisify(execFile);

/** The variables that `skep env` exports. */
export type PlatformEnv = Readonly<
  Record<
    | "CLOUDFLARE_API_BASE_URL"
    | "CLOUDFLARE_API_TOKEN"
    | "CLOUDFLARE_ACCOUNT_ID"
    | "SKEP_URL"
    | "SKEP_HTTPS_URL",
    string
  >
>;

/** A process to kill; of those that there are many of any one. */
export type Victim = "hub" | "store" | "databases" | "edge" | "cell" | "supervisor";

export interface PlatformOptions {
  /** Added to `skep start`. */
  readonly args?: readonly string[];
}

export async function startPlatform(options: PlatformOptions = {}): Promise<Platform> {
  const platform = new Platform(await mkdtemp(join(tmpdir(), "skep-")), options.args ?? []);
  await platform.restart();
  return platform;
}

export class Platform {
  readonly #directory: string;
  readonly #args: readonly string[];
  #process: ChildProcess | undefined;
  #output = "";
  #env: PlatformEnv | undefined;

  constructor(directory: string, args: readonly string[]) {
    this.#directory = directory;
    this.#args = args;
    process.once("exit", this.#abandon);
  }

  /** A test run that was broken off leaves no platform behind. */
  readonly #abandon = () => {
    this.#process?.kill("SIGKILL");
  };

  get data(): string {
    return join(this.#directory, "data");
  }

  get caFile(): string {
    return join(this.data, "ca/ca.pem");
  }

  /** What `skep env` exports. */
  get wranglerEnv(): PlatformEnv {
    if (this.#env === undefined) throw new Error("the platform was not started");
    return this.#env;
  }

  /** Everything that the supervisor has printed, for messages about failures. */
  get output(): string {
    return this.#output;
  }

  /** Starts on the same data. Nothing may be running. Ports may be others than before. */
  async restart(): Promise<void> {
    const ports = ["--port", "0", "--https-port", "0", "--api-port", "0"];
    const args = [CLI, "start", "--data", this.data, ...ports, ...this.#args];
    const child = spawn(process.execPath, args, { stdio: ["ignore", "pipe", "pipe"] });
    this.#process = child;
    for (const stream of [child.stdout, child.stderr]) {
      stream.on("data", (text) => (this.#output += String(text)));
    }
    const failed = once(child, "exit").then(([code]) => {
      throw new Error(`skep start ended with ${code}:\n${this.#output}`);
    });
    await Promise.race([failed, this.skep("status", "--wait")]);
    failed.catch(() => {
      // It ended later, because a test wanted that.
    });
    const { stdout } = await this.skep("env");
    const lines = [...stdout.matchAll(/^export (\w+)=(.*)$/gm)];
    this.#env = Object.fromEntries(lines.map(([, name, value]) => [name, value])) as PlatformEnv;
  }

  /** Ctrl-C. Resolves when it is gone, with the exit code; the data stays. */
  async interrupt(): Promise<number | null> {
    const child = this.#process;
    if (child !== undefined && child.exitCode === null && child.signalCode === null) {
      const gone = once(child, "exit");
      child.kill("SIGINT");
      const timer = setTimeout(() => child.kill("SIGKILL"), STOP_TIMEOUT_MS);
      await gone;
      clearTimeout(timer);
    }
    return child?.exitCode ?? null;
  }

  /** As `interrupt`, and the data directory goes too. */
  async stop(): Promise<number | null> {
    const exitCode = await this.interrupt();
    await rm(this.#directory, { recursive: true, force: true });
    return exitCode;
  }

  /** SIGKILL. Resolves when the process is gone; its successor need not be there yet. */
  async kill(victim: Victim): Promise<void> {
    const pid = await this.#pidOf(victim);
    process.kill(pid, "SIGKILL");
    while (isRunning(pid)) await delay(1);
  }

  /** The highest resident memory that any process of this kind has had so far. */
  async peakRssBytes(kind: "hub" | "edge"): Promise<number> {
    const { hub, edges } = await this.#processes();
    const pids = (kind === "hub" ? [hub] : edges).filter((pid) => pid !== null);
    const peaks = pids.map(async (pid) => {
      const status = await readFile(`/proc/${pid}/status`, "utf8");
      return Number(/^VmHWM:\s+(\d+) kB$/m.exec(status)?.[1]) * 1024;
    });
    return Math.max(...(await Promise.all(peaks)));
  }

  /** Calls the API as the operator. `path` follows the account, such as `/workers/dispatch/namespaces`. */
  api(method: string, path: string, body?: FormData | object): Promise<Response> {
    const {
      CLOUDFLARE_API_BASE_URL: base,
      CLOUDFLARE_ACCOUNT_ID: account,
      CLOUDFLARE_API_TOKEN: token,
    } = this.wranglerEnv;
    const headers = { authorization: `Bearer ${token}` };
    const isForm = body === undefined || body instanceof FormData;
    return fetch(`${base}/accounts/${account}${path}`, {
      method,
      headers: isForm ? headers : { ...headers, "content-type": "application/json" },
      ...(body === undefined ? {} : { body: isForm ? body : JSON.stringify(body) }),
    });
  }

  /** `script` is the source of one ES module, or a whole upload form. */
  async deploy(name: string, script: string | FormData, namespace = "production"): Promise<void> {
    const form = typeof script === "string" ? uploadForm(script) : script;
    const path = `/workers/dispatch/namespaces/${namespace}/scripts/${name}`;
    const response = await this.api("PUT", path, form);
    if (!response.ok) throw new Error(`${name} was not deployed: ${await response.text()}`);
  }

  /** Sends a request to a function in `production`. */
  fetch(script: string, path: string, request?: Outgoing): Promise<Response> {
    return this.fetchHost(`${script}.production.localhost`, path, request);
  }

  fetchHost(host: string, path: string, request?: Outgoing): Promise<Response> {
    const { port } = new URL(this.wranglerEnv.SKEP_URL);
    return send(`http://${host}:${port}${path}`, request);
  }

  /** Invocations of a function in `production` that have been recorded. */
  async requestsOf(script: string): Promise<number> {
    const path = `/workers/dispatch/namespaces/production/scripts/${script}/metrics`;
    const response = await this.api("GET", path);
    const { result } = (await response.json()) as { result: { summary: { requests: number } } };
    return result.summary.requests;
  }

  /** Rejects if it fails. */
  skep(...args: string[]): Promise<{ stdout: string }> {
    return run(process.execPath, [CLI, ...args, "--data", this.data]);
  }

  async #processes(): Promise<Processes> {
    return JSON.parse(await readFile(join(this.data, "run/processes.json"), "utf8")) as Processes;
  }

  /** Waits while the process is being replaced. */
  async #pidOf(victim: Victim): Promise<number> {
    for (;;) {
      const { supervisor, hub, store, edges, cells, ...processes } = await this.#processes();
      const dedicated = cells.dedicated.map(({ pid }) => pid);
      const edge = anyOf(edges);
      const cell = anyOf([...cells.probation, ...dedicated]);
      const databases = anyOf(processes.databases);
      const pid = { supervisor, hub, store, databases, edge, cell }[victim];
      if (pid !== null && isRunning(pid)) return pid;
      await delay(5);
    }
  }
}

/** Of `run/processes.json`; null: being replaced. */
interface Processes {
  readonly supervisor: number;
  readonly hub: number | null;
  readonly store: number | null;
  readonly databases: readonly (number | null)[];
  readonly edges: readonly (number | null)[];
  readonly cells: {
    readonly probation: readonly (number | null)[];
    readonly dedicated: readonly { readonly pid: number }[];
  };
}

function anyOf(pids: readonly (number | null)[]): number | null {
  return pids[Math.floor(Math.random() * pids.length)] ?? null;
}

/** One ES module; `more` is added to its metadata. */
export function uploadForm(source: string, more: object = {}): FormData {
  const form = new FormData();
  const metadata = { main_module: "index.js", compatibility_date: "2026-11-01", ...more };
  form.set("metadata", JSON.stringify(metadata));
  const type = "application/javascript+module";
  form.set("index.js", new File([source], "index.js", { type }));
  return form;
}

function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

function delay(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
