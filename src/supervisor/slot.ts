/**
 * One place in the platform that always has a running process: the hub, the egress, the trial cell, or the edge
 * with some index. When its process ends, the next one is started, at once if the old one had worked, else with
 * growing pauses. `roll` starts the next process before the old one is asked to end.
 */
import { drain } from "./drain.ts";
import { RestartPause, startingNext } from "./restart-pause.ts";
import type { WorkerdProcess } from "./workerd-process.ts";

export interface SlotOptions {
  readonly name: string;
  readonly launch: () => WorkerdProcess;
  /** Called each time a process is ready, before anyone is told. */
  readonly onReady?: (process: WorkerdProcess) => void;
  /** Called each time a process was started, is ready or has ended. */
  readonly onChange: () => void;
  /** Called for each that had been ready and ended without having been asked to, before `onExit`. */
  readonly onCrash?: (process: WorkerdProcess) => void;
  /** Called once per process that has ended. */
  readonly onExit?: (process: WorkerdProcess) => void;
  readonly log: (line: string) => void;
}

/** Long enough for a machine that swaps; a workerd that needs more will not become ready at all. */
const START_TIMEOUT_MS = 30_000;

export class Slot {
  /** The process that counts; it may still be starting, or have ended. */
  current: WorkerdProcess | undefined;
  /** All processes that have not ended: starting, ready, draining. */
  readonly alive = new Set<WorkerdProcess>();
  readonly #options: SlotOptions;
  readonly #restart = new RestartPause();
  /** Those that were ended here. */
  readonly #condemned = new WeakSet<WorkerdProcess>();
  #stopped = false;
  #everReady = false;
  #pause: NodeJS.Timeout | undefined;
  #waiting: ((process: WorkerdProcess) => void)[] = [];

  constructor(options: SlotOptions) {
    this.#options = options;
  }

  get name(): string {
    return this.#options.name;
  }

  /** Rejects with the process's last words if the very first one does not become ready. */
  async start(): Promise<void> {
    await this.#launch().ready;
  }

  /** Resolves with a process that is ready and takes requests, the present one or the next. */
  async whenReady(): Promise<WorkerdProcess> {
    const { current } = this;
    if (current?.exit === undefined && current?.readyAt !== undefined) return current;
    return new Promise((resolve) => this.#waiting.push(resolve));
  }

  /**
   * Ends a process without warning. If it is the one that counts, the next is started before it is gone: not for
   * processes that must not overlap.
   */
  end(process: WorkerdProcess): void {
    this.#condemned.add(process);
    process.kill("SIGKILL");
    if (this.current === process && process.readyAt !== undefined && !this.#stopped) this.#launch();
  }

  /** Ends the present process without warning and resolves when the next one is ready. */
  async replace(): Promise<void> {
    if (this.current !== undefined) this.end(this.current);
    await this.whenReady();
  }

  /** Resolves when the next process is ready. The old one drains on its own. */
  async roll(): Promise<void> {
    const old = this.current;
    if (old === undefined || old.exit !== undefined) {
      await this.whenReady();
      return;
    }
    const next = this.#spawn();
    this.#options.onChange();
    await next.ready;
    // Not always `old`: that one may have ended, and its successor be starting.
    const replaced = this.current;
    this.current = next;
    this.#options.onChange();
    if (replaced !== undefined) void drain(replaced);
  }

  /** No process is started any more. Resolves when all have ended. */
  async stop(timeoutMs: number): Promise<void> {
    this.#stopped = true;
    clearTimeout(this.#pause);
    await Promise.all([...this.alive].map((process) => drain(process, timeoutMs)));
  }

  kill(): void {
    this.#stopped = true;
    clearTimeout(this.#pause);
    for (const process of this.alive) process.kill("SIGKILL");
  }

  #launch(): WorkerdProcess {
    this.current = this.#spawn();
    this.#options.onChange();
    return this.current;
  }

  #spawn(): WorkerdProcess {
    const process = this.#options.launch();
    this.alive.add(process);
    const timer = setTimeout(() => process.kill("SIGKILL"), START_TIMEOUT_MS);
    process.ready
      .then(
        () => this.#becameReady(process),
        () => {
          // It ended first, which #ended deals with.
        },
      )
      .finally(() => clearTimeout(timer));
    void process.exited.then(() => this.#ended(process));
    return process;
  }

  #becameReady(process: WorkerdProcess): void {
    this.#everReady = true;
    this.#options.onReady?.(process);
    this.#options.onChange();
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const resolve of waiting) resolve(process);
  }

  #ended(process: WorkerdProcess): void {
    this.alive.delete(process);
    const isAsked = this.#stopped || process.draining || this.#condemned.has(process);
    if (!isAsked && process.readyAt !== undefined) this.#options.onCrash?.(process);
    this.#options.onExit?.(process);
    this.#options.onChange();
    if (this.#stopped || process.draining || !this.#everReady) return;
    const pauseMs = this.#restart.after(process);
    // One that was to be rolled in, while the process that counts still serves.
    if (this.current !== process) return;
    this.#options.log(`${process.describeExit()}; ${startingNext(pauseMs)}`);
    if (pauseMs === 0) this.#launch();
    else this.#pause = setTimeout(() => this.#launch(), pauseMs);
  }
}
