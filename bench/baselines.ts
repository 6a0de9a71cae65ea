/**
 * What Skep is compared with, all started in the same way: spawn, wait for the port that the process
 * reports on a pipe, connect.
 *   (a) raw static workerd: one process that serves one function by its configuration file
 *   (b) a new workerd process per function
 *   (c) a new Node process per function
 */
import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Readable } from "node:stream";
import { findWorkerd } from "../src/supervisor/workerd-binary.ts";
import { Connection, getRequest } from "./connection.ts";
import { functionSource, NODE_SERVER_SOURCE } from "./function-source.ts";

const ROOT = join(import.meta.dirname, "..");
const START_LIMIT_MS = 10_000;

export interface WorkerdOptions {
  /** 0: any free one. @default 0 */
  readonly port?: number;
  /** @default none */
  readonly v8Flags?: readonly string[];
}

export interface Baselines extends AsyncDisposable {
  /** (a) and (b) */
  readonly workerd: (options?: WorkerdOptions) => Promise<Server>;
  /** (c) */
  readonly node: () => Promise<Server>;
}

export interface Server extends AsyncDisposable {
  readonly pid: number;
  readonly port: number;
}

export async function prepareBaselines(): Promise<Baselines> {
  const workerd = findWorkerd();
  const directory = await mkdtemp(join(tmpdir(), "skep-bench-"));
  await writeFile(join(directory, "main.js"), functionSource());
  await writeFile(join(directory, "server.mjs"), NODE_SERVER_SOURCE);
  return {
    async workerd({ port = 0, v8Flags = [] } = {}) {
      const file = `config${v8Flags.join("")}.capnp`;
      await writeFile(join(directory, file), staticConfig(v8Flags));
      const listen = `-shttp=127.0.0.1:${port}`;
      return start(directory, workerd, ["serve", file, listen, "--control-fd=3"]);
    },
    node: () => start(directory, join(ROOT, "node_modules/.bin/node"), ["server.mjs"]),
    [Symbol.asyncDispose]: () => rm(directory, { recursive: true, force: true }),
  };
}

async function start(cwd: string, program: string, parameters: readonly string[]): Promise<Server> {
  const child = spawn(program, parameters, {
    cwd,
    stdio: ["ignore", "inherit", "inherit", "pipe"],
  });
  const port = await readPort(child, program);
  return { pid: child.pid ?? 0, port, [Symbol.asyncDispose]: () => end(child) };
}

function staticConfig(v8Flags: readonly string[]): string {
  return `using Workerd = import "/workerd/workerd.capnp";
const config :Workerd.Config = (
  services = [(name = "main", worker = .main)],
  sockets = [(name = "http", http = (), service = "main")],
  v8Flags = ${JSON.stringify(v8Flags)},
);
const main :Workerd.Worker = (
  modules = [(name = "main.js", esModule = embed "main.js")],
  compatibilityDate = "2026-11-01",
);
`;
}

/** From spawning a process that serves one function to the head of its first answer, in milliseconds. */
export async function timeFirstAnswer(start: () => Promise<Server>): Promise<number> {
  const before = performance.now();
  await using server = await start();
  const connection = await Connection.open(server);
  const { status } = await connection.send(getRequest("localhost"));
  const elapsed = performance.now() - before;
  connection.close();
  if (status !== 200) throw new Error(`a baseline answered ${status}`);
  return elapsed;
}

/** Kills and reaps. Everything measured here is without state. */
async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exited = once(child, "exit");
  child.kill("SIGKILL");
  await exited;
}

async function readPort(child: ChildProcess, program: string): Promise<number> {
  const pipe = child.stdio[3] as Readable;
  const limit = setTimeout(() => child.kill("SIGKILL"), START_LIMIT_MS);
  try {
    let text = "";
    for await (const piece of pipe) {
      text += String(piece);
      const port = /"port":\s*(\d+)/.exec(text)?.[1];
      if (port) return Number(port);
    }
    throw new Error(`${program} ended, or was ended after ${START_LIMIT_MS} ms, without serving`);
  } finally {
    clearTimeout(limit);
  }
}
