/**
 * One place in the platform that always has a running process: the hub, the egress, the trial cell, or the edge
 * with some index. When its process ends, the next one is started, at once if the old one had worked, else with
 * growing pauses. `roll` starts the next process before the old one is asked to end.
 */
import type { WorkerdProcess } from "./workerd-process.ts";

export interface SlotOptions {
  readonly name: string;
  readonly launch: () => WorkerdProcess;
  /** Called each time a process is ready, before anyone is told. */
  readonly onReady?: (process: WorkerdProcess) => void;
  /** Called each time a process was started or has ended. */
  readonly onChange: () => void;
  /** Called once per process that has ended. */
  readonly onExit?: (process: WorkerdProcess) => void;
  readonly log: (line: string) => void;
}

/** A process that was ready for less than this counts as one that does not work. */
const STEADY_MS = 250;
const FIRST_PAUSE_MS = 50;
const LONGEST_PAUSE_MS = 2000;
/** Long enough for a machine that swaps; a workerd that needs more will not become ready at all. */
const START_TIMEOUT_MS = 30_000;

export class Slot {
  /** The process that counts; it may still be starting, or have ended. */
  current: WorkerdProcess | undefined;
  /** All processes that have not ended: starting, ready, draining. */
  readonly alive = new Set<WorkerdProcess>();
  readonly #options: SlotOptions;
  #failures = 0;
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

  /** Ends the present process without warning and resolves when the next one is ready. */
  async replace(): Promise<void> {
    const old = this.current;
    old?.kill("SIGKILL");
    await old?.exited;
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
    if (replaced !== undefined) this.drain(replaced);
  }

  /** Asks a process to finish what it has; kills it if that takes too long. */
  drain(process: WorkerdProcess, timeoutMs = 30_000): void {
    process.draining = true;
    process.kill("SIGTERM");
    const timer = setTimeout(() => process.kill("SIGKILL"), timeoutMs);
    void process.exited.then(() => clearTimeout(timer));
  }

  /** No process is started any more. Resolves when all have ended. */
  async stop(timeoutMs: number): Promise<void> {
    this.#stopped = true;
    clearTimeout(this.#pause);
    for (const process of this.alive) this.drain(process, timeoutMs);
    await Promise.all([...this.alive].map(({ exited }) => exited));
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
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const resolve of waiting) resolve(process);
  }

  #ended(process: WorkerdProcess): void {
    this.alive.delete(process);
    this.#options.onExit?.(process);
    this.#options.onChange();
    if (this.#stopped || process.draining || !this.#everReady) return;
    const worked =
      process.readyAt !== undefined && performance.now() - process.readyAt >= STEADY_MS;
    this.#failures = worked ? 0 : this.#failures + 1;
    // One that was to be rolled in, while the process that counts still serves.
    if (this.current !== process) return;
    const pauseMs =
      this.#failures <= 1
        ? 0
        : Math.min(LONGEST_PAUSE_MS, FIRST_PAUSE_MS * 2 ** (this.#failures - 2));
    this.#options.log(
      `${process.describeExit()}; starting the next one${pauseMs > 0 ? ` in ${pauseMs} ms` : ""}`,
    );
    if (pauseMs === 0) this.#launch();
    else this.#pause = setTimeout(() => this.#launch(), pauseMs);
  }
}
