/**
 * A whole platform on one data directory: starts its processes in parallel, keeps them running, ends them in
 * order. The supervisor works in `run/`, as its children do, so that socket addresses stay short whatever the
 * path of the data directory.
 */
import { createHash } from "node:crypto";
import { existsSync, readdirSync, rmSync } from "node:fs";
import type { Server } from "node:http";
import { isIPv6 } from "node:net";
import { join } from "node:path";
import type { Bootstrap, BootstrapResult } from "../protocol/hub.ts";
import type { CellRequest } from "../protocol/incident.ts";
import type { ObjectChanges } from "../protocol/objects.ts";
import type { WorkflowRequest } from "../protocol/workflows.ts";
import type { RoutingUpdate } from "../protocol/routing.ts";
import { checkOwnCertificate } from "./certificate-authority.ts";
import type { PlatformConfig } from "./config.ts";
import { callControl } from "./control-client.ts";
import { serveControl } from "./control-server.ts";
import { cpuMsOf } from "./cpu-clock.ts";
import {
  isFirstStart,
  noteCompletedStart,
  openDataDirectory,
  type DataDirectory,
} from "./data-directory.ts";
import { Databases } from "./databases.ts";
import { DRAIN_TIMEOUT_MS } from "./drain.ts";
import { EdgeCertificates } from "./edge-certificates.ts";
import { Edges } from "./edges.ts";
import { Guard } from "./guard.ts";
import { Launcher, type PublicSockets } from "./launcher.ts";
import { identify } from "./process-identity.ts";
import {
  endLeftovers,
  forgetPlatform,
  writePlatformState,
  writeProcessList,
  type PlatformState,
} from "./process-list.ts";
import { demandSandbox, type Layers } from "./sandbox/layers.ts";
import { openPublicSockets } from "./public-sockets.ts";
import { Slot, type SlotOptions } from "./slot.ts";
import { SECRET_KEY_VARIABLE } from "./secret-keys.ts";
import { socketNames } from "./socket-names.ts";
import { StartError } from "./start-error.ts";
import { findWorkerd } from "./workerd-binary.ts";
import type { WorkerdProcess } from "./workerd-process.ts";
import { WriterPause } from "./writer-pause.ts";

export interface PlatformOptions {
  /** Folder of the built Workers. */
  readonly workers: string;
  readonly output: (line: string, stream: "stdout" | "stderr") => void;
  /** Ends a start that is under way: `start` rejects and nothing is left running. */
  readonly signal: AbortSignal;
}

export const FIRST_NAMESPACE = "production";
/** The hub answers these calls from memory. */
const HUB_TIMEOUT_MS = 10_000;

export class Platform {
  readonly #config: PlatformConfig;
  readonly #options: PlatformOptions;
  readonly #data: DataDirectory;
  readonly #slots: { hub: Slot; store: Slot; egress: Slot; trial: Slot; edges: readonly Slot[] };
  readonly #databases: Databases;
  readonly #launcher: Launcher;
  readonly #edges: Edges;
  readonly #guard: Guard;
  readonly #certificates: EdgeCertificates;
  readonly #pause: WriterPause;
  #sockets: PublicSockets | undefined;
  #layers: Layers | undefined;
  #control: Server | undefined;
  #stopping = false;
  #released = false;
  #isNoted = false;

  /** @throws StartError */
  static async start(config: PlatformConfig, options: PlatformOptions): Promise<Platform> {
    const binary = findWorkerd();
    if (!existsSync(join(options.workers, "edge.js"))) {
      throw new StartError(`${options.workers} holds no built Workers; run "npm run build"`);
    }
    if (config.tls !== undefined) checkOwnCertificate(config.tls);
    const data = openDataDirectory(config.data, config.secretKeys);
    const platform = new Platform(config, options, data, binary);
    const aborted = new Promise<never>((_, reject) => {
      const { signal } = options;
      signal.addEventListener("abort", () => reject(signal.reason as Error), { once: true });
    });
    // After the start the signal may come, and means nothing here.
    aborted.catch(() => {});
    try {
      await Promise.race([platform.#start(), aborted]);
      return platform;
    } catch (error) {
      platform.kill();
      throw error;
    }
  }

  /** True until a start on this data directory has been marked ready. */
  readonly isFirstStart: boolean;

  private constructor(
    config: PlatformConfig,
    options: PlatformOptions,
    data: DataDirectory,
    binary: string,
  ) {
    const { output, workers } = options;
    const { paths, secretKeys } = data;
    this.#config = config;
    this.#options = options;
    this.#data = data;
    this.isFirstStart = isFirstStart(data.paths);
    const log = (line: string) => this.#log(line);
    const launcher = new Launcher({ config, paths, binary, workers, secretKeys, output });
    this.#launcher = launcher;
    const slot = (name: string, launch: () => WorkerdProcess, more: Partial<SlotOptions> = {}) =>
      new Slot({
        name,
        launch,
        onChange: () => this.#noteProcesses(),
        log,
        ...more,
        onExit: (process) => {
          this.#guard.forget(process);
          launcher.forget(process);
        },
      });
    this.#databases = new Databases({ launcher, slot, log });
    this.#slots = {
      hub: slot("hub", () => launcher.hub(this.#publicSockets(), this.#apiUrl())),
      store: slot("store", () => launcher.store()),
      egress: slot("egress", () => launcher.egress()),
      trial: slot("trial", () => launcher.trial(), {
        onReady: (process) => {
          this.#guard.trialReady(process);
          launcher.pointLink(socketNames.trial, socketNames.cellControl(process.life));
        },
        onCrash: (process) => this.#guard.trialCrashed(process),
      }),
      edges: Array.from({ length: config.edges }, (_, index) =>
        slot(
          `edge ${index}`,
          () => launcher.edge(index, this.#publicSockets(), this.#certificates.files),
          {
            onReady: (process) => {
              const { life } = process;
              this.#guard.edgeReady(process);
              launcher.pointLink(socketNames.peer(index), socketNames.edgePeer(life));
              launcher.pointLink(socketNames.hairpin(index), socketNames.edgeHairpin(life));
              launcher.pointLink(socketNames.events(index), socketNames.edgeEvents(life));
            },
            onCrash: (process) => this.#guard.edgeCrashed(index, process),
          },
        ),
      ),
    };
    const { edges, trial } = this.#slots;
    this.#edges = new Edges({
      slots: edges,
      controlSocket: ({ life }) => socketNames.edgeControl(life),
      log,
    });
    this.#guard = new Guard({
      config,
      launcher,
      objects: paths.objects,
      edges: this.#edges,
      trial,
      onChange: () => this.#noteProcesses(),
      log,
    });
    this.#pause = new WriterPause(() =>
      [...this.#allSlots().flatMap((slot) => [...slot.alive]), ...this.#guard.pool.alive].filter(
        ({ writesData }) => writesData,
      ),
    );
    this.#certificates = new EdgeCertificates({
      config,
      ca: paths.ca,
      firstNamespace: FIRST_NAMESPACE,
      hostnames: () => this.#hostnames(),
      onIssued: () => this.#edges.roll(),
      log,
    });
  }

  get token(): string {
    return this.#data.token;
  }

  state(state: PlatformState["state"]): PlatformState {
    const { http, https } = this.#publicSockets();
    const { baseDomain } = this.#config;
    const supervisor = identify(process.pid);
    if (supervisor === undefined)
      throw new Error("this process cannot find itself in the process table");
    return {
      state,
      supervisor,
      accountId: this.#data.accountId,
      baseDomain,
      apiUrl: this.#apiUrl(),
      httpUrl: `http://${baseDomain}${http.port === 80 ? "" : `:${http.port}`}`,
      httpsUrl: `https://${baseDomain}${https.port === 443 ? "" : `:${https.port}`}`,
    };
  }

  /** What the sandbox is made of. */
  get layers(): Layers {
    if (this.#layers === undefined) throw new Error("the platform has not started yet");
    return this.#layers;
  }

  /** Tells `skep status --wait` and `skep env`. */
  markReady(): void {
    this.#writeProcesses();
    noteCompletedStart(this.#data.paths);
    writePlatformState(this.#data.paths.run, this.state("ready"));
  }

  /** Lets the edges finish what they have, then ends everything. Resolves when all processes are gone. */
  async stop(): Promise<void> {
    this.#stopping = true;
    this.#pause.end();
    const { hub, store, egress, trial, edges } = this.#slots;
    this.#guard.stopHeartbeats();
    await this.#edges.flush();
    // From here on the queues exist only as long as edges that drain; new clients are refused.
    this.#closeSockets();
    await Promise.all(edges.map((slot) => slot.stop(DRAIN_TIMEOUT_MS)));
    await this.#guard.pool.stop(DRAIN_TIMEOUT_MS);
    const others = [hub, store, ...this.#databases.slots, egress, trial];
    await Promise.all(others.map((slot) => slot.stop(DRAIN_TIMEOUT_MS)));
    this.#release();
  }

  /** Ends everything at once. */
  kill(): void {
    this.#stopping = true;
    for (const slot of this.#allSlots()) slot.kill();
    this.#guard.pool.kill();
    this.#closeSockets();
    this.#release();
  }

  async #start(): Promise<void> {
    const { paths } = this.#data;
    await endLeftovers(paths.run);
    this.#refuseIfStopped();
    for (const name of readdirSync(paths.run)) rmSync(join(paths.run, name), { recursive: true });
    process.chdir(paths.run);
    const prepared = this.#launcher.prepare();
    // It is dealt with where it is awaited, below.
    prepared.catch(() => {});

    const { hub, store, egress, trial, edges } = this.#slots;
    // The hub takes longest and needs its listening socket: that comes first. Egress and cells come last: the
    // first requests can be answered without them.
    const listening = openPublicSockets(this.#config);
    const [sockets] = await Promise.all([listening, this.#certificates.prepare()]);
    this.#sockets = sockets;
    this.#refuseIfStopped();
    writePlatformState(paths.run, this.state("starting"));

    const hubStarted = hub.start();
    hubStarted.catch(() => {});
    const storeStarted = [store.start(), this.#databases.start()];
    for (const started of storeStarted) started.catch(() => {});
    this.#layers = await prepared;
    this.#refuseIfStopped();
    if (this.#config.requireSandbox) demandSandbox(this.#layers);
    const edgesStarted = edges.map((slot) => slot.start());
    // Rejections are dealt with where all are awaited, below.
    for (const started of edgesStarted) started.catch(() => {});
    // While those come up: loading an HTTP server takes its time. Not beside a port that may be refused, since
    // it would keep this process alive.
    this.#control = await this.#serveControl();
    this.#refuseIfStopped();
    await Promise.all([hubStarted.then(() => this.#bootstrap()), ...storeStarted, ...edgesStarted]);
    this.#refuseIfStopped();
    await Promise.all([egress.start(), trial.start(), this.#guard.start()]);
    await this.#certificates.renew();
    this.#refuseIfStopped();
    this.#certificates.startChecks();
  }

  /** A start that was given up while it waited must leave nothing open that it got since. */
  #refuseIfStopped(): void {
    if (!this.#stopping) return;
    this.#closeSockets();
    this.#control?.close();
    throw new StartError("stopped before the platform was ready");
  }

  #serveControl(): Promise<Server> {
    const calls = {
      routing: async (update: Buffer) => {
        await this.#edges.broadcastRouting(update);
        const { scripts = [] } = JSON.parse(update.toString()) as RoutingUpdate;
        this.#guard.pool.supersede(scripts);
      },
      certificate: () => this.#certificates.renew(),
      replaceTrial: () => this.#guard.replaceTrial(),
      cpuClock: (edge: number) => this.#cpuClock(edge),
      assignCell: (request: CellRequest) => this.#guard.assign(request),
      changeObjects: async (changes: ObjectChanges) => {
        await this.#pause.over();
        await this.#guard.stateful.change(changes);
      },
      deleteObject: async (...of: [string, string, string]) => {
        await this.#pause.over();
        await this.#guard.stateful.remove(...of);
      },
      listObjects: (...of: [string, string, string, number]) => this.#guard.stateful.list(...of),
      workflows: (request: WorkflowRequest) => this.#guard.stateful.workflows(request),
      counters: () =>
        this.#guard.counters(this.#slots.edges.filter((slot) => pidOf(slot) !== null).length),
      pauseWriters: () => this.#pause.begin(),
      resumeWriters: () => this.#pause.end(),
    };
    return serveControl(socketNames.supervisor, calls, (line) => this.#log(line));
  }

  async #bootstrap(): Promise<void> {
    const bootstrap: Bootstrap = {
      accountId: this.#data.accountId,
      accountName: "Skep",
      namespace: FIRST_NAMESPACE,
      tokenHash: createHash("sha256").update(this.#data.token).digest("hex"),
    };
    const answer = await callControl({
      socket: socketNames.admin,
      method: "POST",
      path: "/bootstrap",
      body: JSON.stringify(bootstrap),
      timeoutMs: HUB_TIMEOUT_MS,
    });
    const { missingKeys } = JSON.parse(answer.toString()) as BootstrapResult;
    if (missingKeys.length === 0) return;
    throw new StartError(
      `stored secrets are sealed under the key ${missingKeys.join(", ")}, which is neither in ${this.#data.paths.root}/secret.key nor in ${SECRET_KEY_VARIABLE}; restore it from a backup`,
    );
  }

  async #hostnames(): Promise<readonly string[]> {
    const answer = await callControl({
      socket: socketNames.admin,
      method: "GET",
      path: "/hostnames",
      timeoutMs: HUB_TIMEOUT_MS,
    });
    return JSON.parse(answer.toString()) as string[];
  }

  #cpuClock(edge: number) {
    const process = this.#slots.edges[edge]?.current;
    const cpuMs = process?.workerdPid === undefined ? undefined : cpuMsOf(process.workerdPid);
    return process && cpuMs !== undefined ? { life: process.life, cpuMs } : undefined;
  }

  #apiUrl(): string {
    const { address, port } = this.#publicSockets().api;
    const host = address === "0.0.0.0" ? "127.0.0.1" : address === "::" ? "::1" : address;
    return `http://${isIPv6(host) ? `[${host}]` : host}:${port}`;
  }

  #publicSockets(): PublicSockets {
    if (this.#sockets === undefined) throw new Error("the listening sockets are not open yet");
    return this.#sockets;
  }

  #allSlots(): Slot[] {
    const { hub, store, egress, trial, edges } = this.#slots;
    return [hub, store, ...this.#databases.slots, egress, trial, ...edges];
  }

  /** Once for all changes of one turn: the start makes many. */
  #noteProcesses(): void {
    if (this.#isNoted) return;
    this.#isNoted = true;
    setImmediate(() => {
      this.#isNoted = false;
      if (!this.#released) this.#writeProcesses();
    });
  }

  #writeProcesses(): void {
    const { hub, store, egress, trial, edges } = this.#slots;
    const { pool } = this.#guard;
    const alive = [...this.#allSlots().flatMap((slot) => [...slot.alive]), ...pool.alive];
    writeProcessList(this.#data.paths.run, {
      supervisor: process.pid,
      hub: pidOf(hub),
      store: pidOf(store),
      databases: this.#databases.slots.map(pidOf),
      egress: pidOf(egress),
      trial: pidOf(trial),
      edges: edges.map(pidOf),
      cells: pool.pids,
      all: alive.flatMap(({ identities }) => identities),
    });
  }

  #closeSockets(): void {
    if (this.#sockets) for (const socket of Object.values(this.#sockets)) socket.close();
    this.#sockets = undefined;
  }

  #release(): void {
    this.#released = true;
    this.#certificates.stop();
    this.#guard.stop();
    this.#databases.stop();
    this.#control?.close();
    this.#control?.closeAllConnections();
    forgetPlatform(this.#data.paths.run);
    this.#data.lock.release();
  }

  #log(line: string): void {
    if (!this.#stopping) this.#options.output(`skep: ${line}`, "stderr");
  }
}

/** null: it is being replaced. */
function pidOf({ current }: Slot): number | null {
  return current?.exit === undefined ? (current?.workerdPid ?? null) : null;
}
