/**
 * Brings changes to the edges. One push is under way at a time and carries everything that is pending,
 * so that fifty deploys at once cost a few pushes; each carries the state as it is then, so that order
 * does not matter. What could not be delivered stays in the outbox for the next push or the alarm.
 */
import type { RoutingUpdate } from "../protocol/routing.ts";
import type { Outcome } from "./failures.ts";
import { confirm, currentGeneration, pendingChanges } from "./generation.ts";
import { forgetPreview } from "./previews.ts";
import { failure, success } from "./result.ts";
import { allRoutes } from "./routes.ts";
import type { Policy } from "./env.ts";
import { scriptState } from "./script-state.ts";
import { pushRouting } from "./supervisor.ts";

export class Delivery {
  readonly #sql: SqlStorage;
  readonly #supervisor: Fetcher;
  readonly #policy: Policy;
  #underWay: Promise<Outcome<number>> | null = null;
  #delivered = 0;

  constructor(sql: SqlStorage, supervisor: Fetcher, policy: Policy) {
    this.#sql = sql;
    this.#supervisor = supervisor;
    this.#policy = policy;
  }

  /** Resolves once every live edge knows all changes up to `generation`. */
  async settle(generation: number): Promise<Outcome<null>> {
    while (this.#delivered < generation) {
      this.#underWay ??= this.#push().finally(() => (this.#underWay = null));
      const pushed = await this.#underWay;
      if (!pushed.ok) return pushed;
    }
    return success();
  }

  /** Delivers what an earlier life of the hub, or a failed push, left behind. */
  async deliverPending(): Promise<boolean> {
    const pending = pendingChanges(this.#sql);
    if (!pending.routes && pending.scripts.length === 0) return true;
    return (await this.settle(currentGeneration(this.#sql))).ok;
  }

  async #push(): Promise<Outcome<number>> {
    const generation = currentGeneration(this.#sql);
    const update = this.#update(generation);
    // A version that is only uploaded is no news.
    if (update.scripts?.length === 0 && !update.routes) {
      this.#delivered = generation;
      return success(generation);
    }
    const pushed = await pushRouting(this.#supervisor, update);
    if (!pushed.ok) return failure({ reason: "edges-unreachable", detail: pushed.failure });
    confirm(this.#sql, generation);
    this.#delivered = generation;
    return success(generation);
  }

  #update(generation: number): RoutingUpdate {
    const pending = pendingChanges(this.#sql);
    return {
      scripts: pending.scripts.map(({ namespace, script, prewarm }) => {
        const state = scriptState(this.#sql, this.#policy, generation, namespace, script);
        if (state.versionId === null) forgetPreview(this.#sql, namespace, script);
        return prewarm && state.versionId !== null ? { ...state, prewarm } : state;
      }),
      ...(pending.routes && { routes: { generation, routes: allRoutes(this.#sql) } }),
    };
  }
}
