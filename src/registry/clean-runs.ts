/**
 * Runs of clean invocations of the versions that have yet to earn trust. In memory: whoever restarts the hub
 * makes them start their run anew.
 */

import { isSettled, nextTrust } from "./trust.ts";
import { findTrust } from "./trust-store.ts";

/** Far more than versions on probation at a time; beyond it all runs start anew. */
const MAX_VERSIONS = 100_000;

/** What a flush of telemetry says of one version. */
export interface Observation {
  readonly versionId: string;
  readonly clean: number;
  /** It exceeded a limit: the run starts anew, with nothing. */
  readonly exceeded: boolean;
}

export interface CleanRun {
  readonly versionId: string;
  readonly run: number;
}

export class CleanRuns {
  readonly #runs = new Map<string, number>();

  get(versionId: string): number {
    return this.#runs.get(versionId) ?? 0;
  }

  /**
   * `earned`: the versions whose run is long enough now. `settled`: those that need no watching, because they
   * have earned it, clean invocations change nothing for them, or they are gone.
   */
  take(
    sql: SqlStorage,
    observations: readonly Observation[],
    nowMs: number,
  ): { readonly earned: CleanRun[]; readonly settled: string[] } {
    const earned: CleanRun[] = [];
    const settled: string[] = [];
    for (const observation of observations) {
      const { versionId } = observation;
      const trust = findTrust(sql, versionId)?.trust;
      if (trust === undefined || isSettled(trust)) {
        settled.push(versionId);
        continue;
      }
      const run = this.#add(observation);
      if (nextTrust(trust, { kind: "clean", atMs: nowMs, run }) === trust) continue;
      earned.push({ versionId, run });
      settled.push(versionId);
      this.forget(versionId);
    }
    return { earned, settled };
  }

  forget(versionId: string): void {
    this.#runs.delete(versionId);
  }

  /** Returns the run as it is now. */
  #add({ versionId, clean, exceeded }: Observation): number {
    const run = exceeded ? 0 : this.get(versionId) + clean;
    if (this.#runs.size >= MAX_VERSIONS && !this.#runs.has(versionId)) this.#runs.clear();
    this.#runs.set(versionId, run);
    return run;
  }
}
