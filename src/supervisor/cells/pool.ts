/**
 * The cells: processes that run nothing but tenants' isolates, and that may be killed at any moment. Indexes
 * below the number of probation cells always have a process. The others are dedicated to one version each, from
 * the first request for it until nobody has called it for a while.
 *
 * A process works for one cell only and never again after it: whatever ran in it is gone with it. When it ends,
 * a blank one takes its place (spares.ts); callers reach whichever is connected to the index, and tell it by its
 * life.
 */
import type { CellAssignment, CellRequest, Incident } from "../../protocol/incident.ts";
import { WAIT_UNTIL_MS } from "../../protocol/limits.ts";
import type { CellCounts } from "../../protocol/placement.ts";
import { versionsOf, type ScriptState } from "../../protocol/routing.ts";
import { drain } from "../drain.ts";
import type { ProcessList } from "../process-list.ts";
import { RestartPause } from "../restart-pause.ts";
import type { Watch, WatchedLimits } from "../watch/watch.ts";
import type { WorkerdProcess } from "../workerd-process.ts";
import { isStateful, type StatefulStarts } from "../stateful/starts.ts";
import { Spares } from "./spares.ts";

export interface CellPoolOptions {
  readonly counts: CellCounts;
  readonly spares: number;
  /** After so long without a request a dedicated cell is ended. */
  readonly keepAliveMs: number;
  /** From which on a probation cell is replaced. */
  readonly probationMemoryBytes: number;
  readonly launch: () => WorkerdProcess;
  readonly stateful: Pick<StatefulStarts, "take" | "end" | "failureOf">;
  /** Leads whoever calls cell `index` to this process from now on; null: to nobody. */
  readonly connect: (index: number, process: WorkerdProcess | null) => void;
  readonly watch: Pick<Watch, "add" | "update" | "remove">;
  /** Called with each process that is ready, still blank. */
  readonly onReady: (process: WorkerdProcess) => void;
  /** What the end of a cell's process is to be told as, if nobody had asked for it. */
  readonly crashOf: (place: CellPlace) => Incident;
  /** Called when the lives have changed and callers are led accordingly. Resolves when callers know. */
  readonly onNews: (incident?: Incident) => Promise<void>;
  /** Called each time a process was started, was given work or has ended. */
  readonly onChange: () => void;
  /** Called once per process that has ended. */
  readonly onExit: (process: WorkerdProcess) => void;
  readonly log: (line: string) => void;
}

export interface CellPlace {
  readonly index: number;
  readonly process: WorkerdProcess;
  /** The version that a dedicated cell is for. */
  readonly versionId: string | null;
  /** It has Durable Objects. */
  readonly isStateful?: boolean;
}

interface Cell {
  readonly index: number;
  /** null: a probation cell. */
  request: CellRequest | null;
  /** undefined: it waits for one. */
  process: WorkerdProcess | undefined;
  /** Why its process did not start. */
  failure?: Error;
  /** Ends the wait for a process. */
  withdraw: (() => void) | undefined;
  /** Its version gets no requests here any more. */
  isSuperseded: boolean;
  /** Unix milliseconds since when nobody has called it, as far as it is known. */
  idleSinceMs: number;
  readonly restart: RestartPause;
}

/** Only a cell that nobody has called for so long makes room for another version: no work is left in it then. */
const GIVE_UP_AFTER_MS = WAIT_UNTIL_MS;
/** A dedicated cell that died after so long without a call gets no successor. */
const FORGET_AFTER_MS = 60_000;
const ASSIGN_TIMEOUT_MS = 10_000;
const SWEEP_INTERVAL_MS = 1000;

export class CellPool {
  readonly #options: CellPoolOptions;
  readonly #spares: Spares;
  readonly #cells = new Map<number, Cell>();
  readonly #dedicated = new Map<string, Cell>();
  /** Indexes that callers may still take for those of the versions that had them. */
  readonly #retiring = new Set<number>();
  /** Every process until it has ended, with the index it has or had. */
  readonly #alive = new Map<WorkerdProcess, number | null>();
  readonly #waiting = new Set<() => void>();
  #sweep: NodeJS.Timeout | undefined;
  #stopped = false;

  constructor(options: CellPoolOptions) {
    this.#options = options;
    this.#spares = new Spares({
      count: options.spares,
      launch: () => this.#launch(),
      onReady: (process) => this.#becameReady(process),
      onChange: () => this.#changed(),
      log: options.log,
    });
    for (let index = 0; index < options.counts.probation; index++) this.#open(index, null);
  }

  /** Resolves when every probation cell has a process; spares follow. Rejects if the first ones do not start. */
  async start(): Promise<void> {
    const cells = [...this.#cells.values()];
    for (const cell of cells) this.#fill(cell);
    this.#sweep = setInterval(() => this.#endIdle(), SWEEP_INTERVAL_MS);
    await this.#until(
      () => cells.every(({ process }) => process !== undefined),
      () => this.#spares.lastFailure !== "",
    );
  }

  /** Life of the process behind each index; null: there is none. */
  get lives(): (number | null)[] {
    return Array.from(
      { length: this.#options.counts.total },
      (_, index) => this.#cells.get(index)?.process?.life ?? null,
    );
  }

  /** Those that have work, now; those that drain are not among them. */
  get places(): readonly CellPlace[] {
    return [...this.#cells.values()].flatMap(({ index, process, request }) =>
      process === undefined ? [] : [{ index, process, versionId: request?.versionId ?? null }],
    );
  }

  get spares(): readonly WorkerdProcess[] {
    return this.#spares.ready;
  }

  /** For the process list. */
  get pids(): ProcessList["cells"] {
    const { probation } = this.#options.counts;
    const pidAt = (index: number) => this.#cells.get(index)?.process?.workerdPid ?? null;
    return {
      probation: Array.from({ length: probation }, (_, index) => pidAt(index)),
      dedicated: this.places.flatMap(({ index, versionId, process: { workerdPid: pid } }) =>
        versionId === null || pid === undefined ? [] : { index, pid, versionId },
      ),
      spares: this.#spares.ready.flatMap(({ workerdPid }) => workerdPid ?? []),
    };
  }

  /** Every process that has not ended. */
  get alive(): readonly WorkerdProcess[] {
    return [...this.#alive.keys()];
  }

  /** The process, if it has or had work here; one that drains still counts. */
  find(workerdPid: number): CellPlace | undefined {
    for (const [process, index] of this.#alive) {
      if (index === null || process.workerdPid !== workerdPid) continue;
      const cell = this.#cells.get(index);
      const versionId = (cell?.process === process && cell.request?.versionId) || null;
      return { index, process, versionId };
    }
    return undefined;
  }

  /** The cell of a version, made if there is none. Rejects if all are in use. */
  async assign(request: CellRequest): Promise<CellAssignment> {
    if (this.#stopped) throw new Error("the platform is being stopped");
    const failure = isStateful(request) && this.#options.stateful.failureOf(request);
    if (failure) throw failure;
    this.#makeWay(request);
    const cell = this.#dedicated.get(request.versionId) ?? (await this.#dedicate(request));
    cell.idleSinceMs = Date.now();
    if (cell.request?.memoryMb !== request.memoryMb) {
      cell.request = request;
      if (cell.process) this.#watch(cell, cell.process);
    }
    await this.#until(
      () => cell.process !== undefined,
      () => this.#cells.get(cell.index) !== cell,
      () => cell.failure,
    );
    if (cell.process === undefined) throw new Error("the cell was lost again at once");
    return { index: cell.index, life: cell.process.life };
  }

  /**
   * Cells whose versions got successors or other places end soon, and first if room is needed. Not those of versions
   * that have none of the traffic to lose, since they are called as previews.
   */
  supersede(states: readonly ScriptState[]): void {
    for (const state of states) {
      const { namespace, script, previewOf, versionId } = state;
      for (const cell of this.#dedicated.values()) {
        const { request } = cell;
        if (request?.namespace !== namespace || request.script !== (previewOf ?? script)) continue;
        const version = versionsOf(state).find((each) => each.versionId === request.versionId);
        if (version !== undefined) {
          cell.isSuperseded = version.place?.kind !== "dedicated";
          if (previewOf === undefined) cell.request = { ...request, isPreview: false };
        } else if (previewOf === undefined && (!request.isPreview || versionId === null)) {
          cell.isSuperseded = true;
        }
        // It would keep its objects from the next version.
        if (cell.isSuperseded && isStateful(request)) this.#release(cell);
      }
    }
  }

  /** Ends the cells of a script with Durable Objects. */
  endStateful(scriptId: string): void {
    for (const cell of this.#dedicated.values()) {
      if (cell.request?.objects?.scriptId === scriptId) this.#release(cell);
    }
  }

  /** The same, at once. */
  killStateful(scriptId: string): void {
    for (const { request, process } of this.#dedicated.values()) {
      if (request?.objects?.scriptId === scriptId) process?.kill("SIGKILL");
    }
    this.endStateful(scriptId);
  }

  /** Objects are where one version of their script is. */
  #makeWay({ versionId, objects }: CellRequest): void {
    if (objects === undefined) return;
    for (const cell of this.#dedicated.values()) {
      const { request } = cell;
      const isOther = request?.versionId !== versionId;
      if (isOther && request?.objects?.scriptId === objects.scriptId) this.#release(cell);
    }
  }

  /** Ends a process at once; the cell's next one is connected when this returns, if a spare was ready. */
  end({ process, index }: CellPlace, incident: Incident): void {
    process.kill("SIGKILL");
    const cell = this.#cells.get(index);
    if (cell?.process === process) this.#succeed(cell, 0);
    void this.#options.onNews(incident);
  }

  /** The cell's next process takes the calls, then this one drains. */
  roll({ process, index }: CellPlace, incident: Incident): void {
    const cell = this.#cells.get(index);
    if (cell?.process !== process || cell.withdraw !== undefined) return;
    if (isStateful(cell.request)) {
      this.#release(cell);
      void this.#options.onNews(incident);
      return;
    }
    const withdraw = this.#spares.take((next) => {
      this.#occupy(cell, next);
      void this.#options.onNews(incident);
      void drain(process);
    });
    if (cell.process === process) cell.withdraw = withdraw;
  }

  /** What a cell said of itself: for how long nobody has called it. */
  noteIdle(process: WorkerdProcess, idleMs: number): void {
    for (const cell of this.#cells.values()) {
      if (cell.process === process) cell.idleSinceMs = Date.now() - idleMs;
    }
  }

  /** No process is started any more. Resolves when all have ended. */
  async stop(timeoutMs: number): Promise<void> {
    this.#stop();
    await Promise.all(this.alive.map((process) => drain(process, timeoutMs)));
  }

  /** Ends everything at once. */
  kill(): void {
    this.#stop();
    for (const process of this.alive) process.kill("SIGKILL");
  }

  #stop(): void {
    this.#stopped = true;
    clearInterval(this.#sweep);
    this.#spares.stop();
    for (const { withdraw } of this.#cells.values()) withdraw?.();
    this.#changed();
  }

  #launch(): WorkerdProcess {
    const process = this.#options.launch();
    this.#adopt(process);
    return process;
  }

  #adopt(process: WorkerdProcess): void {
    this.#alive.set(process, null);
    void process.exited.then(() => this.#ended(process));
  }

  #becameReady(process: WorkerdProcess): void {
    const { workerdPid: pid, ledgerKey, markers } = process;
    const output = () => process.outputBytes;
    if (pid !== undefined) {
      this.#options.watch.add({ pid, ledgerKey, markers, output, role: "spare" });
    }
    this.#options.onReady(process);
  }

  #ended(process: WorkerdProcess): void {
    const index = this.#alive.get(process) ?? null;
    const cell = index === null ? undefined : this.#cells.get(index);
    if (!this.#stopped && cell?.process === process) this.#crashed(cell, process);
    this.#alive.delete(process);
    if (process.workerdPid !== undefined) this.#options.watch.remove(process.workerdPid);
    this.#options.onExit(process);
    this.#changed();
  }

  #crashed(cell: Cell, process: WorkerdProcess): void {
    const { index, request } = cell;
    const incident = this.#options.crashOf({
      index,
      process,
      versionId: request?.versionId ?? null,
      isStateful: isStateful(request),
    });
    this.#succeed(cell, cell.restart.after(process));
    void this.#options.onNews(incident);
  }

  /** After the loss of its process. */
  #succeed(cell: Cell, pauseMs: number): void {
    cell.process = undefined;
    cell.withdraw?.();
    cell.withdraw = undefined;
    if (this.#stopped) return;
    // Whoever needs its objects next has it started.
    const isForgotten =
      cell.isSuperseded ||
      isStateful(cell.request) ||
      Date.now() - cell.idleSinceMs >= FORGET_AFTER_MS;
    if (cell.request !== null && isForgotten) {
      this.#release(cell);
    } else if (pauseMs === 0) {
      this.#fill(cell);
    } else {
      const pause = setTimeout(() => this.#fill(cell), pauseMs);
      cell.withdraw = () => clearTimeout(pause);
    }
  }

  #open(index: number, request: CellRequest | null): Cell {
    const cell: Cell = {
      index,
      request,
      process: undefined,
      withdraw: undefined,
      isSuperseded: false,
      idleSinceMs: Date.now(),
      restart: new RestartPause(),
    };
    this.#cells.set(index, cell);
    return cell;
  }

  async #dedicate(request: CellRequest): Promise<Cell> {
    let index = this.#freeIndex();
    if (index === undefined) {
      if (this.#retiring.size === 0) this.#giveUpIdlest();
      await this.#until(
        () => this.#freeIndex() !== undefined,
        () => false,
      );
      index = this.#freeIndex();
    }
    // While this waited, another call may have made the cell, or taken the index.
    const known = this.#dedicated.get(request.versionId);
    if (known !== undefined) return known;
    if (index === undefined) return this.#dedicate(request);
    const cell = this.#open(index, request);
    this.#dedicated.set(request.versionId, cell);
    this.#fill(cell);
    if (cell.process !== undefined) void this.#options.onNews();
    return cell;
  }

  #freeIndex(): number | undefined {
    const { probation, total } = this.#options.counts;
    for (let index = probation; index < total; index++) {
      if (!this.#cells.has(index) && !this.#retiring.has(index)) return index;
    }
    return undefined;
  }

  #giveUpIdlest(): void {
    const { probation, total } = this.#options.counts;
    const [idlest] = [...this.#dedicated.values()].sort(
      (a, b) => Number(b.isSuperseded) - Number(a.isSuperseded) || a.idleSinceMs - b.idleSinceMs,
    );
    const mayEnd =
      idlest?.isSuperseded || Date.now() - (idlest?.idleSinceMs ?? 0) >= GIVE_UP_AFTER_MS;
    if (idlest === undefined || !mayEnd) {
      throw new Error(`all ${total - probation} dedicated cells are in use (--cells)`);
    }
    this.#release(idlest);
  }

  #endIdle(): void {
    for (const cell of this.#dedicated.values()) {
      const keptMs = cell.isSuperseded ? GIVE_UP_AFTER_MS : this.#options.keepAliveMs;
      if (Date.now() - cell.idleSinceMs >= keptMs) this.#release(cell);
    }
  }

  #fill(cell: Cell): void {
    let isLater = false;
    cell.withdraw = undefined;
    if (isStateful(cell.request)) {
      cell.withdraw = this.#options.stateful.take(
        cell.request,
        (process) => this.#adopt(process),
        (process) => {
          this.#becameReady(process);
          this.#occupy(cell, process);
          void this.#options.onNews();
        },
        (reason) => {
          cell.failure = reason;
          this.#options.log(reason.message);
          this.#release(cell);
        },
      );
      return;
    }
    const withdraw = this.#spares.take((process) => {
      this.#occupy(cell, process);
      if (isLater) void this.#options.onNews();
    });
    isLater = true;
    if (cell.process === undefined) cell.withdraw = withdraw;
  }

  #occupy(cell: Cell, process: WorkerdProcess): void {
    cell.process = process;
    cell.withdraw = undefined;
    this.#alive.set(process, cell.index);
    this.#options.connect(cell.index, process);
    if (cell.request?.isMistrusted) process.giveWay();
    this.#watch(cell, process);
    this.#changed();
  }

  #watch({ request }: Cell, { workerdPid }: WorkerdProcess): void {
    const limits: WatchedLimits =
      request === null
        ? { role: "probation", memoryBudgetBytes: this.#options.probationMemoryBytes }
        : {
            role: "dedicated",
            memoryLimitBytes: request.memoryMb * 2 ** 20,
            // Alarms, timers and messages are not in the ledger.
            ...(isStateful(request) && { idleCpuMs: request.cpuMs }),
            versionId: request.versionId,
          };
    if (workerdPid !== undefined) this.#options.watch.update(workerdPid, limits);
  }

  /** Nobody is led to this cell any more; what it has under way may finish. */
  #release(cell: Cell): void {
    this.#cells.delete(cell.index);
    if (cell.request) this.#dedicated.delete(cell.request.versionId);
    cell.withdraw?.();
    this.#options.connect(cell.index, null);
    if (cell.process && isStateful(cell.request)) void this.#options.stateful.end(cell.process);
    else if (cell.process) void drain(cell.process);
    this.#retiring.add(cell.index);
    void this.#options.onNews().then(() => {
      this.#retiring.delete(cell.index);
      this.#changed();
    });
    this.#changed();
  }

  #changed(): void {
    for (const check of this.#waiting) check();
    this.#options.onChange();
  }

  /** Rejects when `isHopeless`, when the pool stops, and after a time. */
  #until(
    isTrue: () => boolean,
    isHopeless: () => boolean,
    reason: () => Error | undefined = () => undefined,
  ): Promise<void> {
    if (isTrue()) return Promise.resolve();
    return new Promise((resolve, reject) => {
      const finish = (then: () => void) => {
        clearTimeout(timer);
        this.#waiting.delete(check);
        then();
      };
      const fail = () =>
        reject(reason() ?? new Error(this.#spares.lastFailure || "no cell became ready in time"));
      const check = () => {
        if (isTrue()) finish(resolve);
        else if (this.#stopped || isHopeless()) finish(fail);
      };
      const timer = setTimeout(() => finish(fail), ASSIGN_TIMEOUT_MS);
      this.#waiting.add(check);
    });
  }
}
