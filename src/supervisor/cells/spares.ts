/**
 * Blank cells that wait for work: each can take the place of any other cell at once. Keeps as many ready as
 * it was told to; whoever takes one while none is ready gets the next. Processes that end while they are
 * blank are replaced here, with growing pauses if they do not become ready at all.
 */
import { RestartPause, startingNext } from "../restart-pause.ts";
import type { WorkerdProcess } from "../workerd-process.ts";

export interface SparesOptions {
  readonly count: number;
  readonly launch: () => WorkerdProcess;
  /** Called for each process when it is ready, before anyone gets it. */
  readonly onReady: (process: WorkerdProcess) => void;
  /** Called each time a process was started, became ready or ended. */
  readonly onChange: () => void;
  readonly log: (line: string) => void;
}

type Use = (process: WorkerdProcess) => void;

/** Long enough for a machine that swaps; a workerd that needs more will not become ready at all. */
const START_TIMEOUT_MS = 30_000;
/** A start takes some 60 ms of CPU time: all that many suspects need at once would starve those who serve. */
const MAX_STARTING = 2;

export class Spares {
  readonly #options: SparesOptions;
  readonly #starting = new Set<WorkerdProcess>();
  readonly #ready = new Set<WorkerdProcess>();
  readonly #waiting = new Set<Use>();
  readonly #restart = new RestartPause();
  #pause: NodeJS.Timeout | undefined;
  #stopped = false;
  /** What the last process said that did not become ready. */
  lastFailure = "";

  constructor(options: SparesOptions) {
    this.#options = options;
  }

  /** Blank processes, those that are still starting included. */
  get alive(): readonly WorkerdProcess[] {
    return [...this.#ready, ...this.#starting];
  }

  get ready(): readonly WorkerdProcess[] {
    return [...this.#ready];
  }

  /**
   * `use` is called with a process that is ready and now the caller's: before this returns if there is one, else
   * as soon as there is. What is returned withdraws the wish.
   */
  take(use: Use): () => void {
    const [process] = this.#ready;
    if (process === undefined) this.#waiting.add(use);
    else {
      this.#ready.delete(process);
      use(process);
    }
    // Not in the caller's turn: what hangs on this call comes first.
    setImmediate(() => this.refill());
    return () => this.#waiting.delete(use);
  }

  /** Starts what is missing: those that somebody waits for first, and spares only when nobody does. */
  refill(): void {
    if (this.#stopped || this.#pause !== undefined) return;
    const missing = this.#waiting.size || this.#options.count - this.#ready.size;
    const wanted = Math.min(missing, MAX_STARTING);
    while (this.#starting.size < wanted && this.#pause === undefined) this.#start();
  }

  /** No process is started any more, and those that are blank are left to the caller. */
  stop(): void {
    this.#stopped = true;
    clearTimeout(this.#pause);
    this.#waiting.clear();
  }

  #start(): void {
    let process: WorkerdProcess;
    try {
      process = this.#options.launch();
    } catch (error) {
      // Such as a disk that is full.
      this.#failed(String(error), this.#restart.afterFailure());
      return;
    }
    this.#starting.add(process);
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
    this.#options.onChange();
  }

  #becameReady(process: WorkerdProcess): void {
    if (!this.#starting.delete(process)) return;
    this.#options.onReady(process);
    const [use] = this.#waiting;
    if (use === undefined) this.#ready.add(process);
    else {
      this.#waiting.delete(use);
      use(process);
    }
    this.#options.onChange();
    this.refill();
  }

  #ended(process: WorkerdProcess): void {
    const started = !this.#starting.delete(process);
    if (started && !this.#ready.delete(process)) return;
    if (this.#stopped) this.#options.onChange();
    else this.#failed(process.describeExit(), this.#restart.after(process));
  }

  #failed(how: string, pauseMs: number): void {
    this.lastFailure = how;
    this.#options.log(`${how}; ${startingNext(pauseMs)}`);
    this.#options.onChange();
    if (this.#pause !== undefined) return;
    // Never in the same turn: a failed launch would be repeated for ever.
    this.#pause = setTimeout(() => {
      this.#pause = undefined;
      this.refill();
    }, pauseMs);
  }
}
