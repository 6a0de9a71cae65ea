/**
 * The two processes with D1 databases (src/store/d1/main.ts), and who holds them up. SQLite runs a statement to its end and
 * nothing can interrupt it, so a process whose statements take more than they may is killed; what was under way had not been
 * committed and never will be. The database that did it spends the next while in the slow lane, where it may take longer and
 * where only others like it have to wait.
 */
import type { Launcher } from "./launcher.ts";
import type { Slot, SlotOptions } from "./slot.ts";
import type { DatabaseLane } from "./socket-names.ts";
import { StatementClock } from "./watch/statement-clock.ts";
import type { WorkerdProcess } from "./workerd-process.ts";

/** What the statements of one call may take. In the slow lane: as long as Cloudflare's D1 lets a query run. */
export const LANE_CPU_MS: Readonly<Record<DatabaseLane, number>> = { fast: 1_000, slow: 30_000 };

/** Doubled each time that it happens again, as long as this platform runs. */
const FIRST_STAY_MS = 10 * 60 * 1000;
const LONGEST_STAY_MS = 24 * 60 * 60 * 1000;

export interface DatabasesOptions {
  readonly launcher: Launcher;
  readonly slot: (name: string, launch: () => WorkerdProcess, more: Partial<SlotOptions>) => Slot;
  readonly log: (line: string) => void;
}

export class Databases {
  readonly slots: readonly Slot[];
  readonly #options: DatabasesOptions;
  readonly #stays = new Map<string, { untilMs: number; stayMs: number }>();
  readonly #clocks = new Map<WorkerdProcess, StatementClock>();

  constructor(options: DatabasesOptions) {
    this.#options = options;
    // The slow lane first: the fast one asks it.
    this.slots = (["slow", "fast"] as const).map((lane) =>
      options.slot(`databases (${lane})`, () => options.launcher.databases(lane, this.#slow()), {
        onReady: (process) => this.#watch(lane, process),
        onCrash: (process) => this.#forget(process),
      }),
    );
  }

  /** One after the other: each opens what the runtime notes about the objects of both, and will not wait for the other. */
  async start(): Promise<void> {
    for (const slot of this.slots) await slot.start();
  }

  /** Once the processes have ended. */
  stop(): void {
    for (const process of this.#clocks.keys()) this.#forget(process);
  }

  #watch(lane: DatabaseLane, process: WorkerdProcess): void {
    const { workerdPid: pid, ledgerKey } = process;
    if (pid === undefined || ledgerKey === undefined) return;
    const clock = new StatementClock({
      pid,
      ledgerKey,
      budgetMs: LANE_CPU_MS[lane],
      onExceeded: (database, detail) => {
        this.#options.log(
          `databases (${lane}): ${detail}: ${database ?? "nobody knows which one"}`,
        );
        if (database !== null) this.#detain(database);
        process.kill("SIGKILL");
      },
    });
    this.#clocks.set(process, clock);
  }

  #forget(process: WorkerdProcess): void {
    this.#clocks.get(process)?.stop();
    this.#clocks.delete(process);
  }

  #detain(database: string): void {
    const { stayMs = FIRST_STAY_MS / 2 } = this.#stays.get(database) ?? {};
    const longer = Math.min(2 * stayMs, LONGEST_STAY_MS);
    this.#stays.set(database, { untilMs: Date.now() + longer, stayMs: longer });
  }

  /** Those whose time is over, too: each may still be open there, and is released before it is opened in the fast lane. */
  #slow(): Record<string, number> {
    return Object.fromEntries([...this.#stays].map(([id, { untilMs }]) => [id, untilMs]));
  }
}
