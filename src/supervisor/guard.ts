/**
 * Protects the platform from the code that it runs. Has the processes watched; when one is stuck, bloated or
 * dead, ends or replaces it at once, tells the edges what became of the requests they had there, then the hub,
 * which decides where the versions involved may run from now on.
 */
import type { ProcessCounters, TrialLoss } from "../protocol/hub.ts";
import type { CellAssignment, CellRequest, Incident } from "../protocol/incident.ts";
import { CellNewsPost } from "./cells/news.ts";
import { CellPool, type CellPlace } from "./cells/pool.ts";
import { cellCounts, type PlatformConfig } from "./config.ts";
import { callControl } from "./control-client.ts";
import type { EdgePlace, Edges } from "./edges.ts";
import { HEARTBEAT_TIMEOUT_MS, Heartbeats } from "./heartbeats.ts";
import { Incidents } from "./incidents.ts";
import type { Launcher } from "./launcher.ts";
import type { Slot } from "./slot.ts";
import { socketNames } from "./socket-names.ts";
import { StatefulScripts } from "./stateful/stateful-scripts.ts";
import { Watch, type Blame, type Verdict, type WatchedLimits } from "./watch/watch.ts";
import type { WorkerdProcess } from "./workerd-process.ts";

export interface GuardOptions {
  readonly config: PlatformConfig;
  readonly launcher: Launcher;
  /** Absolute path: where Durable Objects lie. */
  readonly objects: string;
  readonly edges: Edges;
  readonly trial: Slot;
  /** Called each time a cell was started, was given work or has ended. */
  readonly onChange: () => void;
  readonly log: (line: string) => void;
}

/** The hub stores the consequences and tells every edge before it answers. */
const INCIDENT_TIMEOUT_MS = 10_000;
/** Somebody who lost a trial asks for a new cell at once; if nobody does, nobody lost one. */
const TRIAL_LOSS_MS = 2_000;
/** As long as a client may think before it calls again and would notice a cold start. */
const KEEP_ALIVE_MS = 10 * 60 * 1000;
const MEBIBYTE = 2 ** 20;

type Place = EdgePlace | CellPlace;

export class Guard {
  readonly pool: CellPool;
  readonly stateful: StatefulScripts;
  readonly #options: GuardOptions;
  readonly #watch: Watch;
  readonly #news: CellNewsPost;
  readonly #incidents: Incidents;
  readonly #heartbeats: readonly Heartbeats[];
  #trialLoss: { readonly kind: TrialLoss["kind"]; readonly at: number } | undefined;

  constructor(options: GuardOptions) {
    const { config, launcher, objects, edges, log, onChange } = options;
    this.#options = options;
    this.#watch = new Watch({ onVerdict: (verdict) => this.#obey(verdict), log });
    this.#incidents = new Incidents({ deliver: tellHub, log });
    this.#news = new CellNewsPost({
      lives: () => this.pool.lives,
      edges: () => edges.places.map(({ process }) => process),
      post: (process, body) => edges.post(process, "/cells", body),
      log,
    });
    const cellHeartbeats = new Heartbeats({
      processes: () => this.pool.places.map(({ process }) => process),
      controlSocket: ({ life }) => socketNames.cellControl(life),
      mayRest: true,
      watch: this.#watch,
      onHealth: (process, { idleMs }) => {
        if (idleMs !== undefined) this.pool.noteIdle(process, idleMs);
      },
      onSilence: (process) => this.#endSilent(process),
      log,
    });
    const edgeHeartbeats = new Heartbeats({
      processes: () => edges.places.map(({ process }) => process),
      controlSocket: ({ life }) => socketNames.edgeControl(life),
      mayRest: false,
      watch: this.#watch,
      onSilence: (process) => this.#endSilent(process),
      log,
    });
    this.#heartbeats = [edgeHeartbeats, cellHeartbeats];
    this.stateful = new StatefulScripts({
      launcher,
      root: objects,
      assign: (request) => this.pool.assign(request),
      end: (scriptId) => this.pool.endStateful(scriptId),
      kill: (scriptId) => this.pool.killStateful(scriptId),
      log,
    });
    const { spares, edgeMemoryMb } = config;
    this.pool = new CellPool({
      counts: cellCounts(config),
      spares,
      keepAliveMs: KEEP_ALIVE_MS,
      probationMemoryBytes: edgeMemoryMb * MEBIBYTE,
      launch: () => launcher.cell(),
      stateful: this.stateful.starts,
      connect: (index, process) => {
        const link = socketNames.cell(index);
        if (process === null) launcher.dropLink(link);
        else launcher.pointLink(link, socketNames.cellLife(process.life));
      },
      watch: this.#watch,
      // The first call of a process takes long, and had better not be a client's.
      onReady: (process) => void cellHeartbeats.beat(process),
      crashOf: (place) => this.#crashOf("cell", place),
      onNews: (incident) => this.#tell(incident),
      onChange,
      onExit: (process) => launcher.forget(process),
      log,
    });
  }

  /** Resolves when probation cells are there. */
  async start(): Promise<void> {
    for (const heartbeats of this.#heartbeats) heartbeats.start();
    await this.pool.start();
    void this.stateful.start();
  }

  edgeReady(process: WorkerdProcess): void {
    const memoryBudgetBytes = this.#options.config.edgeMemoryMb * MEBIBYTE;
    this.#add(process, { role: "edge", memoryBudgetBytes });
    this.#news.greet(process);
  }

  edgeCrashed(index: number, process: WorkerdProcess): void {
    void this.#tell(this.#crashOf("edge", { index, process }));
  }

  trialReady(process: WorkerdProcess): void {
    const memoryLimitBytes = this.#options.config.limits.maxima.memory_mb * MEBIBYTE;
    this.#add(process, { role: "trial", memoryLimitBytes });
  }

  trialCrashed(process: WorkerdProcess): void {
    this.#noteTrialLoss(this.#crashOf("trial", { index: 0, process }));
  }

  /** For edges and the trial cell, after all else that is to be said of their ends. */
  forget({ workerdPid }: WorkerdProcess): void {
    if (workerdPid !== undefined) this.#watch.remove(workerdPid);
  }

  assign(request: CellRequest): Promise<CellAssignment> {
    return this.pool.assign(request);
  }

  /** Resolves when a fresh trial cell is ready; with what ended the one before, if it was not this call. */
  async replaceTrial(): Promise<TrialLoss> {
    const { trial } = this.#options;
    const loss = this.#trialLoss;
    this.#trialLoss = undefined;
    if (loss !== undefined && performance.now() - loss.at < TRIAL_LOSS_MS) {
      await trial.whenReady();
      return { kind: loss.kind };
    }
    await trial.replace();
    return { kind: null };
  }

  counters(edges: number): ProcessCounters {
    const { places, spares } = this.pool;
    const dedicated = places.filter(({ versionId }) => versionId !== null).length;
    return {
      edges,
      cells: { probation: places.length - dedicated, dedicated, spare: spares.length },
      incidents: this.#incidents.counts,
    };
  }

  /** From here on nothing is asked; what gets stuck while it drains is still killed. */
  stopHeartbeats(): void {
    this.stateful.stop();
    for (const heartbeats of this.#heartbeats) heartbeats.stop();
  }

  /** Once everything has ended. */
  stop(): void {
    this.stopHeartbeats();
    this.#watch.stop();
    this.#incidents.stop();
  }

  #add(process: WorkerdProcess, limits: WatchedLimits): void {
    const { workerdPid: pid, ledgerKey, markers } = process;
    const output = () => process.outputBytes;
    if (pid !== undefined) this.#watch.add({ pid, ledgerKey, markers, output, ...limits });
  }

  #obey(verdict: Verdict): void {
    const { pid, kind, action, detail } = verdict;
    const killed = action === "kill";
    const describe = (process: Incident["process"], place: Place) =>
      incidentOf(process, place, { kind, killed, detail, ...blameOf(verdict) });

    const cell = this.pool.find(pid);
    if (cell !== undefined) {
      if (killed) this.pool.end(cell, describe("cell", cell));
      else this.pool.roll(cell, describe("cell", cell));
      return;
    }
    const { edges, trial, log } = this.#options;
    const edge = edges.places.find(({ process }) => process.workerdPid === pid);
    if (edge !== undefined) {
      if (killed) edges.end(edge);
      else edges.rollOne(edge).catch((error: unknown) => log(String(error)));
      void this.#tell(describe("edge", edge));
      return;
    }
    const tried = [...trial.alive].find(({ workerdPid }) => workerdPid === pid);
    if (tried === undefined) return;
    trial.end(tried);
    this.#noteTrialLoss(describe("trial", { index: 0, process: tried }));
  }

  /** The last resort: neither the watch nor the process itself has said anything for long. */
  #endSilent(process: WorkerdProcess): void {
    const { workerdPid } = process;
    const fact = {
      kind: "crash" as const,
      killed: true,
      detail: `no answer for ${HEARTBEAT_TIMEOUT_MS} ms`,
      ...this.#blame(workerdPid),
    };
    const cell = workerdPid === undefined ? undefined : this.pool.find(workerdPid);
    const edge = this.#options.edges.places.find((place) => place.process === process);
    if (cell !== undefined) this.pool.end(cell, incidentOf("cell", cell, fact));
    else if (edge !== undefined) {
      this.#options.edges.end(edge);
      void this.#tell(incidentOf("edge", edge, fact));
    }
  }

  #crashOf(kind: Incident["process"], place: Place): Incident {
    const { process } = place;
    // No function can do that to itself, and a script with Durable Objects has nowhere else to go.
    const isKilled =
      "isStateful" in place && place.isStateful && process.exit?.signal === "SIGKILL";
    return incidentOf(kind, place, {
      kind: "crash",
      killed: true,
      detail: process.describeExit().split("\n", 1)[0] ?? "",
      ...this.#blame(isKilled ? undefined : process.workerdPid),
    });
  }

  #blame(pid: number | undefined): Blame {
    const nobody = { named: null, certain: false, involved: [] };
    return pid === undefined ? nobody : blameOf(this.#watch.postMortem(pid));
  }

  #noteTrialLoss(incident: Incident): void {
    this.#trialLoss = { kind: incident.kind, at: performance.now() };
    this.#incidents.report(incident);
  }

  /** Resolves when every edge knows. */
  #tell(incident?: Incident): Promise<void> {
    const told = this.#news.tell(incident);
    if (incident !== undefined) this.#incidents.report(incident);
    return told;
  }
}

function incidentOf(
  process: Incident["process"],
  { index, process: { life } }: Place,
  fact: Blame & Pick<Incident, "kind" | "killed" | "detail">,
): Incident {
  return { ...fact, process, index, life, atMs: Date.now() };
}

function blameOf({ named, certain, involved }: Blame): Blame {
  return { named, certain, involved };
}

async function tellHub(incident: Incident): Promise<void> {
  await callControl({
    socket: socketNames.admin,
    method: "POST",
    path: "/incident",
    body: JSON.stringify(incident),
    timeoutMs: INCIDENT_TIMEOUT_MS,
  });
}
