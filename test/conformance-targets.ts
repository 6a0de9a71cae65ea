/**
 * Where conformance suites run: on Miniflare's own bindings; in an isolate of a real cell, on our shims; in a statically
 * configured Worker, on the runtime's own bindings. The latter two lead to one real store process each, with the
 * configuration that the supervisor gives it.
 */
import { build } from "esbuild";
import { convertV4MiniflareOptions, Miniflare } from "miniflare";
import { spawn, type ChildProcess } from "node:child_process";
import { createHmac } from "node:crypto";
import { once } from "node:events";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { request, type IncomingMessage } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import type { Readable } from "node:stream";
import type { WorkerConsumer } from "../src/protocol/queue.ts";
import {
  STORE_HEADER,
  type StoreCall,
  type StoreConfig,
  type StoreKind,
} from "../src/protocol/store.ts";
import { DEFAULT_PLATFORM_LIMITS } from "../src/protocol/limits.ts";
import { capnpText, Embed, Word } from "../src/supervisor/capnp-text.ts";
import { lifeDirectory, RUN_DIRECTORIES, socketNames } from "../src/supervisor/socket-names.ts";
import { findWorkerd } from "../src/supervisor/workerd-binary.ts";
import { cellConfig, databasesConfig, storeConfig } from "../src/supervisor/workerd-config.ts";

export interface Target {
  /** Of the Worker that runs the cases. */
  fetch(path: string): Promise<unknown>;
  stop(): Promise<void>;
}

/** The bindings that the cases find in their env. */
const BINDINGS = { KV: "kv", BUCKET: "r2", DB: "d1", QUEUE: "queue" } as const;
const GRANT_KEY = "5c".repeat(32);
const COMPATIBILITY_DATE = "2026-11-01";
const CELL_LIFE = 1;

/** Of both queues: that of the cases, and the one for its dead letters. */
const CONSUMER: WorkerConsumer = {
  id: "consumer",
  type: "worker",
  namespace: "conformance",
  script: "cases",
  batchSize: 5,
  maxRetries: 2,
  retryDelaySeconds: null,
  maxWaitMs: 0,
  maxConcurrency: 1,
  deadLetterQueue: null,
};
const DEAD_QUEUE = "conformance-dead";

/** Names of resources, which have the same as ids. */
const nameOf = (kind: StoreKind) => `conformance-${kind}`;

export async function miniflare(): Promise<Target> {
  const target = new Miniflare(
    convertV4MiniflareOptions({
      modules: true,
      script: await bundled("worker"),
      compatibilityDate: COMPATIBILITY_DATE,
      kvNamespaces: { KV: nameOf("kv") },
      r2Buckets: { BUCKET: nameOf("r2") },
      d1Databases: { DB: nameOf("d1") },
      queueProducers: { QUEUE: { queueName: nameOf("queue") } },
      queueConsumers: {
        [nameOf("queue")]: {
          maxBatchSize: CONSUMER.batchSize,
          maxBatchTimeout: CONSUMER.maxWaitMs / 1_000,
          maxRetries: CONSUMER.maxRetries,
          deadLetterQueue: DEAD_QUEUE,
        },
        [DEAD_QUEUE]: { maxBatchTimeout: CONSUMER.maxWaitMs / 1_000 },
      },
    }),
  );
  return {
    async fetch(path) {
      const response = await target.dispatchFetch(`http://cases${path}`);
      return response.json();
    },
    stop: () => target.dispose(),
  };
}

export async function shim(): Promise<Target> {
  const processes = new Processes();
  try {
    await processes.startStore();
    const cell = cellConfig(processes.paths, { life: CELL_LIFE, maxIsolates: 4, ledgerKey: "" });
    await processes.start("cell", cell.text);
    await processes.startWorker("driver", [
      binding("CELL", "service", socketNames.cellLife(CELL_LIFE)),
      { name: "GRANT_KEY", text: GRANT_KEY },
    ]);
    const bound = Object.entries(BINDINGS).map(([name, kind]) => [
      name,
      { type: kind, id: nameOf(kind), name: nameOf(kind) },
    ]);
    const path = `/?store=${encodeURIComponent(JSON.stringify(Object.fromEntries(bound)))}`;
    const loaded = await processes.send("driver.sock", "PUT", path, await bundled("worker"));
    if (!(JSON.parse(loaded) as { ok: boolean }).ok) throw new Error(loaded);
    return processes.target("driver.sock");
  } catch (error) {
    await processes.stop();
    throw error;
  }
}

export async function native(): Promise<Target> {
  const processes = new Processes();
  try {
    await processes.startStore();
    const { store } = socketNames;
    await processes.startWorker("worker", [
      binding("KV", "kvNamespace", store, "kv"),
      binding("BUCKET", "r2Bucket", store, "r2"),
      binding("DB", "d1", store, "d1"),
      binding("QUEUE", "queue", store, "queue"),
    ]);
    return processes.target("worker.sock");
  } catch (error) {
    await processes.stop();
    throw error;
  }
}

/** To an external service at a unix socket; with `kind`, as a static configuration names the resource. */
interface Binding {
  readonly name: string;
  readonly text?: string;
  readonly to?: { readonly type: string; readonly socket: string; readonly kind?: StoreKind };
}

function binding(name: string, type: string, socket: string, kind?: StoreKind): Binding {
  return { name, to: { type, socket, ...(kind && { kind }) } };
}

/** A directory laid out as `run/` and the data directory are, and the processes in it. */
class Processes {
  readonly #directory = mkdtempSync(join(tmpdir(), "skep-conformance-"));
  readonly paths = {
    run: join(this.#directory, "run"),
    state: this.#directory,
    blobs: this.#directory,
    store: join(this.#directory, "store"),
    workers: this.#directory,
  };
  readonly #children: ChildProcess[] = [];

  constructor() {
    const { run, store } = this.paths;
    for (const name of Object.values(RUN_DIRECTORIES))
      mkdirSync(join(run, name), { recursive: true });
    mkdirSync(join(run, lifeDirectory.cell(CELL_LIFE)));
    for (const name of ["objects", "files"]) mkdirSync(join(store, name), { recursive: true });
  }

  /** With all resources that the cases are bound to. */
  async startStore(): Promise<void> {
    const grantKey = GRANT_KEY;
    const databases = { lane: "fast", grantKey, ledgerKey: "", cpuMs: 1000, slow: {} } as const;
    await this.start("databases", databasesConfig(this.paths, databases).text, "store/d1");
    await this.start(
      "store",
      storeConfig(this.paths, {
        edges: 1,
        limits: DEFAULT_PLATFORM_LIMITS,
        grantKey: GRANT_KEY,
      }).text,
    );
    const ids = Object.values(BINDINGS).map((kind) => [kind, nameOf(kind)] as const);
    for (const [kind, id] of [...ids, ["queue", DEAD_QUEUE] as const]) {
      const deadLetterQueue = id === DEAD_QUEUE ? null : DEAD_QUEUE;
      const config: StoreConfig & { readonly consumer?: WorkerConsumer } = {
        ...(kind === "queue" && { consumer: { ...CONSUMER, deadLetterQueue } }),
        kind,
        id,
        name: id,
        settings: {},
        limits: {},
        accountId: "conformance",
        namespaceId: null,
        namespace: null,
      };
      const body = JSON.stringify(config);
      await this.send(socketNames.storeControl, "PUT", `/configs/${kind}/${id}`, body);
    }
  }

  /** The Worker of the process `name`, of the configuration `text`, is src/{folder}/main.ts. */
  async start(name: string, text: string, folder = name): Promise<void> {
    this.#write(`${name}.js`, await bundled(`../../src/${folder}/main`));
    await this.#serve(name, text);
  }

  /** A Worker of test/conformance, served at `{name}.sock`. What the store tells an edge, its handlers are called for. */
  async startWorker(name: string, bindings: readonly Binding[]): Promise<void> {
    this.#write(`${name}.js`, await bundled(name));
    this.#write("consumer-edge.js", await bundled("consumer-edge"));
    const events = socketNames.events(0);
    const text = capnpText({
      services: [
        {
          name,
          worker: {
            compatibilityDate: COMPATIBILITY_DATE,
            modules: [{ name: "main.js", esModule: new Embed(`../${name}.js`) }],
            bindings: bindings.map(({ name: bound, text: value, to }) =>
              to === undefined
                ? { name: bound, text: value }
                : { name: bound, ...valueOf(to.type, bound) },
            ),
          },
        },
        ...(name === "driver" ? [] : [consumerEdge(name)]),
        ...bindings.flatMap(({ name: bound, to }) =>
          to === undefined
            ? []
            : { name: bound, external: { address: `unix:${to.socket}`, http: httpOf(to.kind) } },
        ),
      ],
      sockets: [
        { name, address: `unix:${name}.sock`, http: {}, service: name },
        {
          name: "events",
          address: `unix:${events}`,
          http: {},
          service: name === "driver" ? name : "consumer-edge",
        },
      ],
    });
    const head = `using Workerd = import "/workerd/workerd.capnp";`;
    await this.#serve(name, `${head}\nconst config :Workerd.Config = ${text};\n`);
  }

  /** The answer's body. Rejects if it is no success. */
  async send(socket: string, method: string, path: string, body = ""): Promise<string> {
    const sent = request({ socketPath: join(this.paths.run, socket), method, path });
    sent.end(body);
    const [response] = (await once(sent, "response")) as [IncomingMessage];
    const answer = await text(response);
    if ((response.statusCode ?? 500) >= 300) throw new Error(`${method} ${path}: ${answer}`);
    return answer;
  }

  target(socket: string): Target {
    return {
      fetch: async (path) => JSON.parse(await this.send(socket, "GET", path)) as unknown,
      stop: () => this.stop(),
    };
  }

  async stop(): Promise<void> {
    for (const child of this.#children) {
      if (child.exitCode !== null) continue;
      const gone = once(child, "exit");
      child.kill("SIGKILL");
      await gone;
    }
    rmSync(this.#directory, { recursive: true, force: true });
  }

  #write(name: string, content: string): void {
    writeFileSync(join(this.#directory, name), content);
  }

  /** Resolves when it listens. */
  async #serve(name: string, config: string): Promise<void> {
    writeFileSync(join(this.paths.run, `${name}.capnp`), config);
    const child = spawn(
      findWorkerd(),
      ["serve", "--experimental", "--control-fd=3", `${name}.capnp`],
      { cwd: this.paths.run, stdio: ["ignore", "inherit", "inherit", "pipe"] },
    );
    this.#children.push(child);
    const control = child.stdio[3] as Readable;
    await Promise.race([
      once(control, "data"),
      once(child, "exit").then(() => Promise.reject(new Error(`${name} did not start`))),
    ]);
  }
}

/** The handlers of `worker` can be called in its own process only. */
function consumerEdge(worker: string) {
  return {
    name: "consumer-edge",
    worker: {
      compatibilityDate: COMPATIBILITY_DATE,
      compatibilityFlags: ["experimental", "service_binding_extra_handlers"],
      modules: [{ name: "main.js", esModule: new Embed("../consumer-edge.js") }],
      bindings: [{ name: "WORKER", service: worker }],
    },
  };
}

function valueOf(type: string, service: string) {
  if (type !== "d1") return { [type]: service };
  const innerBindings = [{ name: "fetcher", service }];
  return { wrapped: { moduleName: "cloudflare-internal:d1-api", innerBindings } };
}

function httpOf(kind: StoreKind | undefined) {
  const style = new Word("proxy");
  if (kind === undefined) return { style };
  const header = { name: STORE_HEADER, value: JSON.stringify(grantedCall(kind)) };
  return { style, injectRequestHeaders: [header] };
}

/** As src/protocol/grants.ts makes them. */
function grantedCall(kind: StoreKind): StoreCall {
  const id = nameOf(kind);
  const [namespace, script] = ["conformance", "cases"];
  const parts = JSON.stringify([namespace, script, kind, id]);
  const grant = createHmac("sha256", Buffer.from(GRANT_KEY, "hex")).update(parts).digest("hex");
  return { kind, id, namespace, script, grant };
}

async function bundled(name: string): Promise<string> {
  const { outputFiles } = await build({
    entryPoints: [join(import.meta.dirname, "conformance", `${name}.ts`)],
    bundle: true,
    format: "esm",
    target: "es2024",
    write: false,
    conditions: ["workerd", "worker", "browser"],
    external: ["cloudflare:*", "node:*"],
  });
  return outputFiles[0]?.text ?? "";
}
