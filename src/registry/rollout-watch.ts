/**
 * Looks at the rollouts under way: reads what their two versions did from the function's metrics object and
 * decides. The Registry's alarm calls it, so that a rollout goes on whoever started it, and after a crash.
 */
import type { FunctionMetrics } from "../dispatcher/function-metrics.ts";
import type { MetricsTotals, VersionTotals } from "../protocol/metrics-report.ts";
import type { Isolation } from "../protocol/placement.ts";
import { decide, sampleOf, type RolloutLook, type VersionSample } from "./rollout-decision.ts";
import { dueRollouts, type RolloutPlan, type RolloutRecord } from "./rollout-store.ts";
import { derivePlace } from "./trust.ts";
import { findTrust } from "./trust-store.ts";

/**
 * CPU estimates look back over up to four minutes of a process, and what runs in a cell is not in them: a version
 * is compared from this long after it came to the edges.
 */
const COST_SETTLES_MS = 4 * 60_000;
const MINUTE_MS = 60_000;

export interface Looked {
  readonly rollout: RolloutRecord;
  /** null: its metrics could not be read. */
  readonly look: RolloutLook | null;
}

type Totals = ReadonlyMap<string, MetricsTotals>;

export class RolloutWatch {
  readonly #sql: SqlStorage;
  readonly #metrics: DurableObjectNamespace<FunctionMetrics>;
  /** Of namespaces that have none of their own. */
  readonly #isolation: Isolation;

  constructor(
    sql: SqlStorage,
    metrics: DurableObjectNamespace<FunctionMetrics>,
    isolation: Isolation,
  ) {
    this.#sql = sql;
    this.#metrics = metrics;
    this.#isolation = isolation;
  }

  /** One look at each rollout that is due. What follows from it is the caller's to store. */
  lookAtDue(nowMs: number): Promise<Looked[]> {
    return Promise.all(
      dueRollouts(this.#sql, nowMs).map(async (rollout) => {
        try {
          return { rollout, look: await this.#look(rollout, nowMs) };
        } catch (error) {
          const { namespace, script } = rollout;
          console.error(`rollout of ${namespace}/${script}: metrics not read:`, error);
          return { rollout, look: null };
        }
      }),
    );
  }

  async #look(rollout: RolloutRecord, nowMs: number): Promise<RolloutLook> {
    const { plan, stepSince } = rollout;
    const { candidate, baseline, rules, minRequests, intervalMs } = plan;
    const all = await this.#read(rollout, stepSince, nowMs);
    const from = (sinceMs: number): Promise<Totals> | Totals | null => {
      if (sinceMs <= stepSince) return all;
      return sinceMs < nowMs ? this.#read(rollout, sinceMs, nowMs) : null;
    };
    const alike = await from(this.#alikeSince(plan));
    const costs = await from(this.#costSince(plan));
    const versions = (totals: Totals) => {
      const sample = (versionId: string): VersionSample => ({
        ...sampleOf(totals.get(versionId)),
        cpu: costs?.get(versionId)?.cpu ?? null,
      });
      return { candidate: sample(candidate), baseline: sample(baseline) };
    };
    const look = decide({
      rules,
      minRequests,
      intervalMs,
      elapsedMs: nowMs - stepSince,
      ...versions(all),
      alike: alike && versions(alike),
    });
    const trust = findTrust(this.#sql, candidate)?.trust;
    if (trust?.state !== "convicted") return look;
    return { ...look, verdict: "roll-back", why: `the new version was convicted: ${trust.why}` };
  }

  /** Metrics are kept by the minute: from the beginning of that of `sinceMs`. */
  async #read(
    { namespaceId, script }: RolloutRecord,
    sinceMs: number,
    untilMs: number,
  ): Promise<Totals> {
    const object = this.#metrics.getByName(`${namespaceId}/${script}`) as unknown as {
      versionTotals(sinceMs: number, untilMs: number): Promise<VersionTotals[]>;
    };
    const versions = await object.versionTotals(sinceMs, untilMs);
    return new Map(versions.map(({ versionId, totals }) => [versionId, totals]));
  }

  /** From when on both versions run in the same kind of place; Infinity: they do not yet. */
  #alikeSince(plan: RolloutPlan): number {
    const [candidate, baseline] = this.#stays(plan);
    if (!candidate || !baseline || candidate.kind !== baseline.kind) return Infinity;
    // From the next minute on: the one in which a version moved has requests of both places.
    return candidate.kind === "edge"
      ? Math.max(candidate.sinceMs, baseline.sinceMs) + MINUTE_MS
      : candidate.sinceMs;
  }

  /** From when on both versions' estimates may be compared; Infinity: not yet. */
  #costSince(plan: RolloutPlan): number {
    const stays = this.#stays(plan);
    if (stays.some((stay) => stay?.kind !== "edge")) return Infinity;
    return Math.max(...stays.map((stay) => stay?.sinceMs ?? Infinity)) + COST_SETTLES_MS;
  }

  /** Where the two versions run, and since when. */
  #stays({ candidate, baseline }: RolloutPlan) {
    return [candidate, baseline].map((versionId) => {
      const found = findTrust(this.#sql, versionId);
      if (!found) return null;
      const { kind } = derivePlace(found.trust, found.isolation ?? this.#isolation);
      return { kind, sinceMs: found.trust.sinceMs };
    });
  }
}
