/**
 * Holds every process that writes to the data directory still for a moment, so that its files can be copied as they
 * are at one instant (src/cli/backup/). It is what a kill of all of them at that instant would leave, which each
 * recovers from by itself; but they go on.
 *
 * Whoever asked for the pause may be gone: it ends by itself after LEASE_MS.
 */
import { readdirSync, readFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import type { WorkerdProcess } from "./workerd-process.ts";

type Writer = Pick<WorkerdProcess, "name" | "workerdPid" | "readyAt" | "exit">;

const LEASE_MS = 10_000;
const STOP_TIMEOUT_MS = 2000;

export class WriterPause {
  readonly #writers: () => readonly Writer[];
  readonly #leaseMs: number;
  #held: readonly Writer[] | undefined;
  #lease: NodeJS.Timeout | undefined;
  #over: PromiseWithResolvers<void> | undefined;

  /** @param writers All that have not ended, now. */
  constructor(writers: () => readonly Writer[], leaseMs = LEASE_MS) {
    this.#writers = writers;
    this.#leaseMs = leaseMs;
  }

  /** Resolves when no thread of any writer runs. Rejects, with all going on, if that cannot be. */
  async begin(): Promise<void> {
    if (this.#held !== undefined) throw new Error("another backup holds the writers still");
    const writers = this.#writers();
    const starting = writers.find(
      ({ readyAt, workerdPid, exit }) => !readyAt || !workerdPid || exit,
    );
    if (starting !== undefined) throw new Error(`${starting.name} is being replaced`);
    this.#held = writers;
    this.#over = Promise.withResolvers();
    this.#lease = setTimeout(() => this.#release(), this.#leaseMs);
    for (const writer of writers) signal(writer, "SIGSTOP");
    const deadline = performance.now() + STOP_TIMEOUT_MS;
    while (!writers.every(isStopped)) {
      if (performance.now() > deadline || !this.#isUnbroken(writers)) {
        this.#release();
        throw new Error("the processes that write did not all stop");
      }
      await sleep(1);
    }
  }

  /** Resolves when none holds, for what the supervisor itself changes in the data directory. */
  async over(): Promise<void> {
    await this.#over?.promise;
  }

  /** All go on. Returns whether none of them has run, ended or been joined by another since `begin`. */
  end(): boolean {
    const held = this.#held;
    const isUnbroken = held !== undefined && this.#isUnbroken(held) && held.every(isStopped);
    this.#release();
    return isUnbroken;
  }

  #isUnbroken(held: readonly Writer[]): boolean {
    const now = this.#writers();
    return now.length === held.length && held.every((writer) => now.includes(writer));
  }

  #release(): void {
    clearTimeout(this.#lease);
    for (const writer of this.#held ?? []) signal(writer, "SIGCONT");
    this.#held = undefined;
    this.#over?.resolve();
  }
}

function signal({ workerdPid, exit }: Writer, name: "SIGSTOP" | "SIGCONT"): void {
  if (workerdPid === undefined || exit !== undefined) return;
  try {
    process.kill(workerdPid, name);
  } catch {
    // ESRCH: it ended by itself just now.
  }
}

/** SIGSTOP reaches one thread after the other. */
function isStopped({ workerdPid }: Writer): boolean {
  const tasks = `/proc/${workerdPid}/task`;
  try {
    return readdirSync(tasks).every((task) => {
      const stat = readFileSync(`${tasks}/${task}/stat`, "utf8");
      return stat.slice(stat.lastIndexOf(")") + 2).startsWith("T");
    });
  } catch {
    // Without /proc there is no telling; elsewhere than on Linux the signal takes effect before kill returns.
    return process.platform !== "linux";
  }
}
