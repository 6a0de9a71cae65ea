/**
 * How long the statements of a process with databases have been running, seen from the outside: its CPU clock, and in its
 * ledger which database has one under way. Only one has at a time. Linux only; elsewhere it watches nothing.
 */
import { findLedger, type LedgerReader } from "./ledger-reader.ts";
import { VitalSigns } from "./vital-signs.ts";
import { Watch } from "./watch.ts";

export interface StatementClockOptions {
  readonly pid: number;
  /** Hex. */
  readonly ledgerKey: string;
  /** CPU time that one call's statements may take. */
  readonly budgetMs: number;
  /** Called at most once. `database`: its id; null: the ledger cannot be read, or memory is not one call's alone. */
  readonly onExceeded: (database: string | null, detail: string) => void;
}

const LOOK_MS = 50;
/** Of the whole process: results and temporary tables are in memory. */
const MAX_MEMORY_BYTES = 1536 * 2 ** 20;
/** Of a call that waits for the disk and uses no CPU time, in multiples of what it may use. */
const PATIENCE = 10;

export class StatementClock {
  readonly #options: StatementClockOptions;
  readonly #signs: VitalSigns | undefined;
  readonly #timer: NodeJS.Timeout | undefined;
  #ledger: LedgerReader | undefined;
  #isSearching = false;
  #isStopped = false;
  #cpuMs = 0;
  #call: { readonly order: number; readonly cpuMs: number; readonly atMs: number } | undefined;

  constructor(options: StatementClockOptions) {
    this.#options = options;
    if (!Watch.supported) return;
    try {
      this.#signs = new VitalSigns(options.pid);
    } catch {
      // It has ended already, which its owner learns elsewhere.
      return;
    }
    this.#timer = setInterval(() => this.#look(), LOOK_MS);
    this.#timer.unref();
  }

  stop(): void {
    if (this.#isStopped) return;
    this.#isStopped = true;
    clearInterval(this.#timer);
    this.#signs?.close();
    this.#ledger?.close();
  }

  #look(): void {
    const signs = this.#signs;
    if (signs === undefined || this.#isStopped) return;
    try {
      const cpuMs = signs.cpuMs();
      if (cpuMs === this.#cpuMs && this.#call === undefined) return;
      this.#cpuMs = cpuMs;
      if (this.#ledger === undefined) void this.#find();
      else this.#judge(this.#ledger, cpuMs, signs.memoryBytes());
    } catch {
      // It is gone; its owner learns that elsewhere.
      this.stop();
    }
  }

  #judge(ledger: LedgerReader, cpuMs: number, memoryBytes: number): void {
    const [entry] = ledger.readEntries().filter(({ underWay }) => underWay > 0);
    if (memoryBytes > MAX_MEMORY_BYTES) {
      this.#exceed(entry?.versionId ?? null, `${memoryBytes} bytes of memory`);
      return;
    }
    if (entry === undefined) {
      this.#call = undefined;
      return;
    }
    const { order, versionId } = entry;
    if (this.#call?.order !== order) {
      this.#call = { order, cpuMs, atMs: performance.now() };
      return;
    }
    const { budgetMs } = this.#options;
    const usedMs = cpuMs - this.#call.cpuMs;
    const waitedMs = performance.now() - this.#call.atMs;
    if (usedMs > budgetMs) {
      this.#exceed(versionId, `statements took more than ${budgetMs} ms of CPU time`);
    } else if (waitedMs > PATIENCE * budgetMs) {
      this.#exceed(versionId, `statements took more than ${PATIENCE * budgetMs} ms`);
    }
  }

  #exceed(database: string | null, detail: string): void {
    this.stop();
    this.#options.onExceeded(database, detail);
  }

  /** The Worker makes its ledger with its first request. */
  async #find(): Promise<void> {
    if (this.#isSearching) return;
    this.#isSearching = true;
    const ledger = await findLedger(this.#options.pid, this.#options.ledgerKey);
    this.#isSearching = false;
    if (this.#isStopped) ledger?.close();
    else this.#ledger = ledger;
  }
}
