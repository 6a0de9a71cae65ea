/**
 * One process under watch: looks at it when it is due, and puts what it sees before the rules. Its clock is read
 * first; a process that used no CPU time since is not looked at further.
 */
import { blameForStall, onlyOne, type Blame, type UnexplainedStalls } from "./blame.ts";
import { findLedger, type LedgerEntry, type LedgerReader } from "./ledger-reader.ts";
import { HOARD_BYTES, MemoryRule, type Bloat } from "./memory-rule.ts";
import { cpuBudget, StallRule, type Stall } from "./stall-rule.ts";
import { VitalSigns } from "./vital-signs.ts";
import type { Watched, WatchedLimits, WatchOptions } from "./watch.ts";

/** Between two looks at a process that uses CPU time; doubled with each look at one that does not. */
export const MIN_INTERVAL_MS = 10;
export const MAX_INTERVAL_MS = 80;

/** A Worker makes its ledger when it gets its first request, at the latest. */
const FIRST_SEARCH_MS = 100;
const MAX_SEARCHES = 8;

export class WatchedProcess {
  /** When to look again (performance.now); Infinity: never. */
  dueMs = 0;
  readonly #watched: Watched;
  readonly #options: WatchOptions;
  readonly #edgeStalls: UnexplainedStalls;
  readonly #signs: VitalSigns;
  readonly #stall = new StallRule();
  readonly #memory: MemoryRule;
  #limits: WatchedLimits;
  #ledger: LedgerReader | undefined;
  #entries: readonly LedgerEntry[] = [];
  #intervalMs = MIN_INTERVAL_MS;
  #cpuMs = 0;
  #output = 0;
  #writes = 0;
  #closed = false;
  #search: NodeJS.Timeout | undefined;

  /** @throws if the process is gone. `edgeStalls` is of all edges together. */
  constructor(watched: Watched, options: WatchOptions, edgeStalls: UnexplainedStalls) {
    this.#edgeStalls = edgeStalls;
    this.#watched = watched;
    this.#limits = watched;
    this.#options = options;
    this.#signs = new VitalSigns(watched.pid);
    this.#memory = new MemoryRule(this.#signs.memoryBytes());
    if (watched.ledgerKey !== undefined) void this.#find(watched.ledgerKey, 1);
  }

  get hasLedger(): boolean {
    return this.#ledger !== undefined;
  }

  update(limits: WatchedLimits): void {
    this.#limits = limits;
  }

  heartbeat(): () => void {
    try {
      this.#stall.heartbeatSent(this.#signs.cpuMs());
    } catch {
      // It is gone.
    }
    return () => this.#stall.heartbeatAnswered();
  }

  look(nowMs: number): void {
    try {
      const cpuMs = this.#signs.cpuMs();
      if (cpuMs === this.#cpuMs) {
        this.#intervalMs = Math.min(MAX_INTERVAL_MS, 2 * this.#intervalMs);
      } else {
        this.#cpuMs = cpuMs;
        this.#intervalMs = MIN_INTERVAL_MS;
        this.#examine(cpuMs);
      }
      if (this.dueMs !== Infinity) this.dueMs = nowMs + this.#intervalMs;
    } catch {
      // It is gone; its owner learns that elsewhere, and may ask for the post-mortem.
      this.dueMs = Infinity;
    }
  }

  postMortem(): Blame {
    const { versionId } = this.#limits;
    if (versionId !== undefined) return onlyOne(versionId);
    const bomb = this.#memory.blameForMoment();
    return bomb.named === null ? this.#blameForStall(false) : bomb;
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.dueMs = Infinity;
    clearTimeout(this.#search);
    this.#signs.close();
    this.#ledger?.close();
  }

  #examine(beforeMs: number): void {
    const signs = this.#signs;
    const ledger = this.#ledger;
    if (ledger !== undefined) this.#entries = ledger.readEntries();
    const begins = ledger?.begins ?? 0;
    const progress =
      this.#io() + begins + (ledger?.ends ?? 0) + (this.#watched.markers?.count ?? 0);
    const { role, idleCpuMs } = this.#limits;
    const isShared = role !== "dedicated";
    const memoryBytes = signs.memoryBytes();
    const entries = ledger === undefined ? undefined : this.#entries;
    const budget = cpuBudget(entries, isShared, memoryBytes, idleCpuMs);
    const cpu = { beforeMs, afterMs: signs.cpuMs(), progress, budgetMs: budget.ms };
    const stall = this.#stall.take(cpu);
    // Nobody's code runs in a spare, whatever it is busy with.
    if (stall === undefined || role === "spare") this.#weigh(begins, memoryBytes);
    else this.#judgeStall(stall, budget.isFull);
  }

  /** Writing to its log is no progress: a loop around `console.log` does nothing else. */
  #io(): number {
    const signs = this.#signs;
    signs.readIo();
    const output = this.#watched.output?.() ?? 0;
    if (output === this.#output) this.#writes = signs.writes;
    this.#output = output;
    return signs.reads + this.#writes;
  }

  #weigh(begins: number, bytes: number): void {
    const { role, memoryBudgetBytes: budget, memoryLimitBytes: limit } = this.#limits;
    const limits = { budget, limit, hoard: role === "probation" ? HOARD_BYTES : undefined };
    const bloat = this.#memory.take(bytes, begins, this.#entries, limits, Date.now());
    if (bloat !== undefined) this.#judgeBloat(bloat);
  }

  #judgeStall({ how, usedMs, budgetMs }: Stall, isFullBudget: boolean): void {
    const { role, versionId } = this.#limits;
    // In cells the markers tell who is behind it; in edges somebody might hide behind others for ever.
    const stalls = this.#edgeStalls;
    const nowMs = performance.now();
    const isRepeated = role === "edge" && stalls.isRepeated(nowMs);
    const blame = versionId === undefined ? this.#blameForStall(isRepeated) : onlyOne(versionId);
    if (role === "edge") stalls.note(nowMs, blame.involved);
    if (versionId !== undefined) stalls.explain(versionId);
    const underWay = this.#entries.reduce((sum, entry) => sum + entry.underWay, 0);
    const without = how === "stuck" ? "progress" : "an answer to a heartbeat";
    this.dueMs = Infinity;
    this.#options.onVerdict({
      pid: this.#watched.pid,
      kind: "cpu",
      action: "kill",
      ...blame,
      certain: blame.certain && isFullBudget,
      detail: `${Math.round(usedMs)} ms of CPU time without ${without}, ${budgetMs} ms allowed, ${underWay} under way`,
    });
  }

  #judgeBloat({ action, bytes, limit, blame }: Bloat): void {
    const { versionId } = this.#limits;
    const isKill = action === "kill";
    if (isKill) this.dueMs = Infinity;
    this.#options.onVerdict({
      pid: this.#watched.pid,
      kind: "memory",
      action,
      // A process that is replaced may just be full of garbage.
      ...(isKill && versionId !== undefined ? onlyOne(versionId) : blame),
      detail: `${mebibytes(bytes)} MiB of memory, ${mebibytes(limit)} MiB allowed`,
    });
  }

  #blameForStall(isRepeated: boolean): Blame {
    const lastStarted = this.#watched.markers?.last?.versionId ?? null;
    return blameForStall(this.#entries, { lastStarted, nowMs: Date.now(), isRepeated });
  }

  async #find(key: string, search: number): Promise<void> {
    const { pid } = this.#watched;
    const ledger = await findLedger(pid, key);
    if (this.#closed) {
      ledger?.close();
    } else if (ledger !== undefined) {
      this.#ledger = ledger;
    } else if (search < MAX_SEARCHES) {
      const pauseMs = FIRST_SEARCH_MS * 2 ** (search - 1);
      this.#search = setTimeout(() => void this.#find(key, search + 1), pauseMs);
      this.#search.unref();
    } else {
      this.#options.log?.(
        `the ledger of process ${pid} cannot be read; incidents there name nobody`,
      );
    }
  }
}

function mebibytes(bytes: number): number {
  return Math.round(bytes / 2 ** 20);
}
