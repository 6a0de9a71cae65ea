/**
 * When a process counts as stuck: it has used more CPU time than all that is under way in it may use together,
 * and shows no sign of progress. Only its own CPU time counts, never time that passes: on a busy machine, or
 * while it is suspended, nothing happens to it. Pure.
 *
 * The sum is needed: invocations whose answers wait for one another to finish run back to back without any
 * input or output.
 */
import { STARTUP_CPU_MS } from "../../protocol/limits.ts";
import type { LedgerEntry } from "./ledger-reader.ts";

/** What the platform's own code or somebody's `waitUntil` work may take meanwhile. */
const SLACK_MS = 50;
/**
 * Collecting garbage is no function's fault, and takes the longer the more memory there is. Measured at full load of
 * honest requests: up to 210 ms where it had grown to 570 MiB, under 50 ms in the first 100 MiB.
 */
const FREE_MIB = 100;
const GARBAGE_MS_PER_MIB = 0.5;
const MEBIBYTE = 2 ** 20;
/** With nothing under way: collecting garbage, ending isolates. */
const IDLE_BUDGET_MS = STARTUP_CPU_MS;
/** Where the ledger cannot be read, nobody knows what may be under way. */
const BLIND_BUDGET_MS = 2000;
/** Of a process that several versions share, unless one of them may take longer by itself. */
const MAX_SHARED_MS = 5000;
/**
 * The last resort, for what shows progress and yet lets nobody else have a turn. A heartbeat takes several turns, and
 * at full load each comes after all that waits: honest bursts of 20 ms on 32 connections have taken 1.3 s.
 */
const SILENT_MS = 10_000;

export interface CpuSample {
  /** Read before `progress` was, so that what it says has certainly been used without progress. */
  readonly beforeMs: number;
  /** Read after `progress` was. */
  readonly afterMs: number;
  /** Differs from the last sample's if there was a sign of progress between the two. */
  readonly progress: number;
  readonly budgetMs: number;
}

export interface Stall {
  /** `stuck`: no sign of progress. `silent`: no answer to a heartbeat. */
  readonly how: "stuck" | "silent";
  readonly usedMs: number;
  readonly budgetMs: number;
}

export class StallRule {
  #progress: number | undefined;
  #progressAtMs = 0;
  #heartbeatAtMs: number | undefined;

  /** `cpuMs` now. A heartbeat that is sent while another is not answered does not count. */
  heartbeatSent(cpuMs: number): void {
    this.#heartbeatAtMs ??= cpuMs;
  }

  heartbeatAnswered(): void {
    this.#heartbeatAtMs = undefined;
  }

  take({ beforeMs, afterMs, progress, budgetMs }: CpuSample): Stall | undefined {
    if (progress !== this.#progress) {
      this.#progress = progress;
      this.#progressAtMs = afterMs;
    }
    const usedMs = beforeMs - this.#progressAtMs;
    if (usedMs > budgetMs) return { how: "stuck", usedMs, budgetMs };
    const silentMs = beforeMs - (this.#heartbeatAtMs ?? beforeMs);
    const silentBudgetMs = SILENT_MS + budgetMs;
    if (silentMs > silentBudgetMs) {
      return { how: "silent", usedMs: silentMs, budgetMs: silentBudgetMs };
    }
    return undefined;
  }
}

export interface CpuBudget {
  readonly ms: number;
  /** False: all that is under way may together use more. Who exceeds it need not have done wrong. */
  readonly isFull: boolean;
}

/**
 * What may be used without progress. `entries` undefined: there is no ledger. `isShared`: there is a most that
 * versions let each other wait, however many invocations they keep under way. `memoryBytes`: resident, of the process.
 * `idleMs`: what code may use that no invocation is under way for.
 */
export function cpuBudget(
  entries: readonly LedgerEntry[] | undefined,
  isShared: boolean,
  memoryBytes: number,
  idleMs = 0,
): CpuBudget {
  if (entries === undefined) return { ms: BLIND_BUDGET_MS, isFull: true };
  let sum = 0;
  let largest = 0;
  for (const { underWay, cpuMs } of entries) {
    if (underWay <= 0) continue;
    sum += underWay * cpuMs;
    largest = Math.max(largest, cpuMs);
  }
  if (sum === 0) return { ms: Math.max(IDLE_BUDGET_MS, idleMs), isFull: true };
  const garbageMs = Math.max(0, memoryBytes / MEBIBYTE - FREE_MIB) * GARBAGE_MS_PER_MIB;
  const slackMs = SLACK_MS + Math.round(garbageMs);
  const most = Math.max(largest, MAX_SHARED_MS);
  if (isShared && sum > most) return { ms: most + slackMs, isFull: false };
  return { ms: sum + slackMs, isFull: true };
}
