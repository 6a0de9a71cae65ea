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
import type { Bootstrap } from "../protocol/hub.ts";
import {
  checkOwnCertificate,
  edgeCertificateFiles,
  ensureCertificate,
  heldNames,
  isCertificateName,
} from "./certificate-authority.ts";
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
import { Edges } from "./edges.ts";
import { Launcher, type PublicSockets } from "./launcher.ts";
import { openListeningSockets } from "./listening-sockets.ts";
import { identify } from "./process-identity.ts";
import {
  endLeftovers,
  forgetPlatform,
  writePlatformState,
  writeProcessList,
  type PlatformState,
} from "./process-list.ts";
import { Slot } from "./slot.ts";
import { StartError } from "./start-error.ts";
import { findWorkerd } from "./workerd-binary.ts";
import { socketNames } from "./workerd-config.ts";
import type { WorkerdProcess } from "./workerd-process.ts";

export interface PlatformOptions {
  /** Folder of the built Workers. */
  readonly workers: string;
  readonly output: (line: string, stream: "stdout" | "stderr") => void;
  /** Ends a start that is under way: `start` rejects and nothing is left running. */
  readonly signal: AbortSignal;
}

export const FIRST_NAMESPACE = "production";
const DRAIN_TIMEOUT_MS = 30_000;
/** The hub answers these calls from memory. */
const HUB_TIMEOUT_MS = 10_000;
const CERTIFICATE_CHECK_INTERVAL_MS = 12 * 60 * 60 * 1000;

export class Platform {
  readonly #config: PlatformConfig;
  readonly #options: PlatformOptions;
  readonly #data: DataDirectory;
  readonly #slots: { hub: Slot; egress: Slot; trial: Slot; edges: readonly Slot[] };
  readonly #edges: Edges;
  #sockets: PublicSockets | undefined;
  #control: Server | undefined;
  #certificateWork: Promise<void> = Promise.resolve();
  #certificateChecks: NodeJS.Timeout | undefined;
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
    const data = openDataDirectory(config.data);
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
    const { paths, secretKey } = data;
    this.#config = config;
    this.#options = options;
    this.#data = data;
    this.isFirstStart = isFirstStart(data.paths);
    const launcher = new Launcher({ config, paths, binary, workers, secretKey, output });
    const slot = (
      name: string,
      launch: () => WorkerdProcess,
      onReady?: (process: WorkerdProcess) => void,
    ) =>
      new Slot({
        name,
        launch,
        ...(onReady && { onReady }),
        onChange: () => this.#noteProcesses(),
        onExit: (process) => launcher.forget(process),
        log: (line) => this.#log(line),
      });
    this.#slots = {
      hub: slot("hub", () => launcher.hub(this.#publicSockets(), this.#apiUrl())),
      egress: slot("egress", () => launcher.egress()),
      trial: slot(
        "trial",
        () => launcher.trial(),
        ({ life }) => launcher.pointLink(socketNames.trial, socketNames.trialLife(life)),
      ),
      edges: Array.from({ length: config.edges }, (_, index) =>
        slot(
          `edge ${index}`,
          () => launcher.edge(index, this.#publicSockets(), this.#certificateFiles()),
          ({ life }) =>
            launcher.pointLink(socketNames.peer(index), socketNames.peerLife(index, life)),
        ),
      ),
    };
    this.#edges = new Edges({
      slots: this.#slots.edges,
      controlSocket: (index, { life }) => socketNames.edgeControl(index, life),
      log: (line) => this.#log(line),
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

  /** Tells `skep status --wait` and `skep env`. */
  markReady(): void {
    this.#writeProcesses();
    noteCompletedStart(this.#data.paths);
    writePlatformState(this.#data.paths.run, this.state("ready"));
  }

  /** Lets the edges finish what they have, then ends everything. Resolves when all processes are gone. */
  async stop(): Promise<void> {
    this.#stopping = true;
    const { hub, egress, trial, edges } = this.#slots;
    this.#edges.stopHeartbeats();
    await this.#edges.flush();
    // From here on the queues exist only as long as edges that drain; new clients are refused.
    this.#closeSockets();
    await Promise.all(edges.map((slot) => slot.stop(DRAIN_TIMEOUT_MS)));
    await Promise.all([hub, egress, trial].map((slot) => slot.stop(DRAIN_TIMEOUT_MS)));
    this.#release();
  }

  /** Ends everything at once. */
  kill(): void {
    this.#stopping = true;
    this.#edges.stopHeartbeats();
    for (const slot of this.#allSlots()) slot.kill();
    this.#closeSockets();
    this.#release();
  }

  async #start(): Promise<void> {
    const { paths } = this.#data;
    await endLeftovers(paths.run);
    for (const name of readdirSync(paths.run)) rmSync(join(paths.run, name), { recursive: true });
    process.chdir(paths.run);

    const { hub, egress, trial, edges } = this.#slots;
    // The hub takes longest and needs its listening socket: that comes first. Egress and the trial cell
    // come last: the first requests can be answered without them.
    const listening = this.#listen();
    const [sockets] = await Promise.all([listening, this.#ensureCertificate(this.#firstNames())]);
    this.#sockets = sockets;
    writePlatformState(paths.run, this.state("starting"));

    const hubStarted = hub.start();
    const edgesStarted = edges.map((slot) => slot.start());
    // Rejections are dealt with where all are awaited, below.
    for (const started of [hubStarted, ...edgesStarted]) started.catch(() => {});
    // While those come up: loading an HTTP server takes its time. Not beside a port that may be refused, since
    // it would keep this process alive.
    this.#control = await this.#serveControl();
    await Promise.all([hubStarted.then(() => this.#bootstrap()), ...edgesStarted]);
    await Promise.all([egress.start(), trial.start()]);
    await this.#renewCertificate();
    this.#edges.startHeartbeats();
    this.#certificateChecks = setInterval(() => {
      this.#renewCertificate().catch((error: unknown) => this.#log(String(error)));
    }, CERTIFICATE_CHECK_INTERVAL_MS);
  }

  async #listen(): Promise<PublicSockets> {
    const { host, apiHost, port, httpsPort, apiPort, accept, edges } = this.#config;
    const queues = accept === "spread" ? edges : 1;
    const functions = { host, hostOption: "--host", queues };
    const [http, https, api] = await openListeningSockets([
      { ...functions, port, portOption: "--port" },
      { ...functions, port: httpsPort, portOption: "--https-port" },
      {
        host: apiHost,
        hostOption: "--api-host",
        port: apiPort,
        portOption: "--api-port",
        queues: 1,
      },
    ]);
    if (!http || !https || !api) throw new Error("a listening socket is missing");
    return { http, https, api };
  }

  #serveControl(): Promise<Server> {
    const calls = {
      routing: (update: Buffer) => this.#edges.broadcastRouting(update),
      certificate: () => this.#renewCertificate(),
      replaceTrial: () => this.#slots.trial.replace(),
      cpuClock: (edge: number) => this.#cpuClock(edge),
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
    await callControl({
      socket: socketNames.admin,
      method: "POST",
      path: "/bootstrap",
      body: JSON.stringify(bootstrap),
      timeoutMs: HUB_TIMEOUT_MS,
    });
  }

  /** One at a time, in the order of the calls. */
  #renewCertificate(): Promise<void> {
    const work = this.#certificateWork.then(async () => {
      if (this.#config.tls !== undefined || this.#stopping) return;
      const answer = await callControl({
        socket: socketNames.admin,
        method: "GET",
        path: "/hostnames",
        timeoutMs: HUB_TIMEOUT_MS,
      });
      const names = (JSON.parse(answer.toString()) as string[]).filter(isCertificateName);
      const changed = await this.#ensureCertificate(names);
      if (changed) await this.#edges.roll();
    });
    this.#certificateWork = work.catch(() => {});
    return work;
  }

  async #ensureCertificate(names: readonly string[]): Promise<boolean> {
    if (this.#config.tls !== undefined) return false;
    return ensureCertificate(this.#data.paths.ca, names, Date.now());
  }

  /** What the edges start with: last time's certificate, or the names that a new platform will have. */
  #firstNames(): readonly string[] {
    const { baseDomain } = this.#config;
    const held = heldNames(this.#data.paths.ca);
    if (held.includes(baseDomain)) return held;
    return [baseDomain, `*.${baseDomain}`, `*.${FIRST_NAMESPACE}.${baseDomain}`];
  }

  #certificateFiles() {
    return this.#config.tls ?? edgeCertificateFiles(this.#data.paths.ca);
  }

  #cpuClock(edge: number) {
    const process = this.#slots.edges[edge]?.current;
    const cpuMs = process?.pid === undefined ? undefined : cpuMsOf(process.pid);
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
    const { hub, egress, trial, edges } = this.#slots;
    return [hub, egress, trial, ...edges];
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
    const { hub, egress, trial, edges } = this.#slots;
    const pidOf = ({ current }: Slot) =>
      current?.exit === undefined ? (current?.pid ?? null) : null;
    const alive = this.#allSlots().flatMap((slot) => [...slot.alive]);
    writeProcessList(this.#data.paths.run, {
      supervisor: process.pid,
      hub: pidOf(hub),
      egress: pidOf(egress),
      trial: pidOf(trial),
      edges: edges.map(pidOf),
      all: alive.flatMap(({ identity }) => identity ?? []),
    });
  }

  #closeSockets(): void {
    if (this.#sockets) for (const socket of Object.values(this.#sockets)) socket.close();
    this.#sockets = undefined;
  }

  #release(): void {
    this.#released = true;
    clearInterval(this.#certificateChecks);
    this.#control?.close();
    this.#control?.closeAllConnections();
    forgetPlatform(this.#data.paths.run);
    this.#data.lock.release();
  }

  #log(line: string): void {
    if (!this.#stopping) this.#options.output(`skep: ${line}`, "stderr");
  }
}
