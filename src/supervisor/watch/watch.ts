/**
 * Watches the processes that run tenants' code, from the outside: their CPU clock, I/O counters, memory and
 * ledger. Says which one is stuck or bloated and which versions may be to blame; what is then done is up to the
 * caller. Linux only; elsewhere it watches nothing.
 */
import { NOBODY, UnexplainedStalls, type Blame } from "./blame.ts";
import type { Markers } from "./markers.ts";
import { MAX_INTERVAL_MS, MIN_INTERVAL_MS, WatchedProcess } from "./watched-process.ts";

export type { Blame };

/** `spare`: blank, runs no tenant's code yet. */
export type WatchedRole = "edge" | "probation" | "dedicated" | "spare" | "trial";

export interface WatchedLimits {
  readonly role: WatchedRole;
  /** Resident memory of the whole process from which on it is replaced (`edge`, `probation`). */
  readonly memoryBudgetBytes?: number | undefined;
  /**
   * Memory above what the blank process had (`dedicated`, `trial`). With some more it is replaced, and killed if
   * it gets there in a leap or grows on.
   */
  readonly memoryLimitBytes?: number | undefined;
  /** What code may use a stretch with nothing under way, if that is more than others may. */
  readonly idleCpuMs?: number | undefined;
  /** The only version it runs (`dedicated`): named and certain for a kill, whatever else is known. */
  readonly versionId?: string | undefined;
}

/** Add a process when it is ready and before it runs tenants' code: its memory is measured then. */
export interface Watched extends WatchedLimits {
  /** workerd's own, as the supervisor sees it. */
  readonly pid: number;
  /** Hex. undefined: the process keeps no ledger. */
  readonly ledgerKey: string | undefined;
  /** undefined: the process writes no markers. */
  readonly markers: Markers | undefined;
  /** Bytes that it has written to its standard output and error so far, as far as they were read. */
  readonly output?: () => number;
}

/**
 * `kill`: SIGKILL it now. `replace`: start another one, then let this one drain; it stays watched, and a `kill`
 * may still follow.
 */
export type Action = "kill" | "replace";

export interface Verdict extends Blame {
  readonly pid: number;
  readonly kind: "cpu" | "memory";
  readonly action: Action;
  /** For people. */
  readonly detail: string;
}

export interface WatchCounters {
  readonly processes: number;
  /** Of these, whose ledger was found. */
  readonly ledgers: number;
  /** Times that any process was looked at. */
  readonly looks: number;
}

export interface WatchOptions {
  /** At most one `replace`, then at most one `kill`, per process. Must not throw. */
  readonly onVerdict: (verdict: Verdict) => void;
  readonly log?: ((line: string) => void) | undefined;
}

/** Node's timers count whole milliseconds. */
const TOLERANCE_MS = 1;

export class Watch {
  /** undefined: this system can be watched. Else why not. */
  static readonly unsupported: string | undefined =
    process.platform === "linux" ? undefined : `no /proc on ${process.platform}`;
  static readonly supported: boolean = Watch.unsupported === undefined;

  readonly #options: WatchOptions;
  readonly #processes = new Map<number, WatchedProcess>();
  readonly #edgeStalls = new UnexplainedStalls();
  #timer: NodeJS.Timeout | undefined;
  #scheduledMs = Infinity;
  #looks = 0;

  constructor(options: WatchOptions) {
    this.#options = options;
  }

  add(watched: Watched): void {
    if (!Watch.supported || this.#processes.has(watched.pid)) return;
    try {
      this.#processes.set(
        watched.pid,
        new WatchedProcess(watched, this.#options, this.#edgeStalls),
      );
    } catch {
      // It has ended already, which its owner learns elsewhere.
      return;
    }
    this.#schedule(performance.now());
  }

  /** Its role or limits changed: a spare becomes a dedicated cell. */
  update(pid: number, limits: WatchedLimits): void {
    this.#processes.get(pid)?.update(limits);
  }

  /**
   * Call it when a heartbeat is sent to the process, and what it returns when the exchange is over, unless that
   * timed out. A process that uses CPU and does not answer is stuck although it writes output all the time.
   */
  heartbeat(pid: number): () => void {
    return this.#processes.get(pid)?.heartbeat() ?? (() => {});
  }

  /** For a process that ended by itself: who was under way when it was last looked at. Until `remove`. */
  postMortem(pid: number): Blame {
    return this.#processes.get(pid)?.postMortem() ?? NOBODY;
  }

  remove(pid: number): void {
    this.#processes.get(pid)?.close();
    this.#processes.delete(pid);
  }

  /** No timer is left. */
  stop(): void {
    clearTimeout(this.#timer);
    for (const pid of this.#processes.keys()) this.remove(pid);
  }

  get counters(): WatchCounters {
    const processes = [...this.#processes.values()];
    return {
      processes: processes.length,
      ledgers: processes.filter(({ hasLedger }) => hasLedger).length,
      looks: this.#looks,
    };
  }

  #look(): void {
    const now = performance.now();
    let next = now + MAX_INTERVAL_MS;
    for (const process of this.#processes.values()) {
      if (process.dueMs <= now + TOLERANCE_MS) {
        this.#looks++;
        process.look(now);
      }
      next = Math.min(next, process.dueMs);
    }
    this.#scheduledMs = Infinity;
    this.#schedule(Math.max(next, now + MIN_INTERVAL_MS));
  }

  #schedule(atMs: number): void {
    if (this.#processes.size === 0 || atMs >= this.#scheduledMs) return;
    clearTimeout(this.#timer);
    this.#scheduledMs = atMs;
    this.#timer = setTimeout(() => this.#look(), Math.max(0, atMs - performance.now()));
    this.#timer.unref();
  }
}
