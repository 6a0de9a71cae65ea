/**
 * Brings what the registry knows of resources and scripts to the store: one configuration for each thing, whole, so that order
 * does not matter. Triggers (schema.ts) note in the outbox `store_changes` what changed, in the transaction of the change;
 * what could not be delivered stays there for the next call or the alarm. What the store refuses holds up nothing else.
 */
import type { ConfigKind } from "../protocol/store.ts";
import type { Outcome } from "./failures.ts";
import { failure, success } from "./result.ts";
import { storeConfigOf } from "./store-config.ts";

export class StoreDelivery {
  readonly #sql: SqlStorage;
  readonly #store: Fetcher;
  #underWay: Promise<Outcome<null>> | null = null;
  /** By kind and id: the number of the change that the store refused. Whoever made it was told; the alarm tries it again. */
  readonly #refused = new Map<string, number>();

  constructor(sql: SqlStorage, store: Fetcher) {
    this.#sql = sql;
    this.#store = store;
  }

  /** Resolves once the store has taken every change that was committed before this call. `again`: what it refused, too. */
  async settle(again = false): Promise<Outcome<null>> {
    if (again) this.#refused.clear();
    while (this.#pending().length > 0) {
      this.#underWay ??= this.#deliver().finally(() => (this.#underWay = null));
      const delivered = await this.#underWay;
      if (!delivered.ok) return delivered;
    }
    return success();
  }

  get hasPending(): boolean {
    return this.#sql.exec(`SELECT 1 FROM store_changes LIMIT 1`).toArray().length > 0;
  }

  #pending() {
    return this.#sql
      .exec<{ kind: ConfigKind; id: string; seq: number }>(
        `SELECT kind, id, MAX(seq) AS seq FROM store_changes GROUP BY kind, id ORDER BY seq`,
      )
      .toArray()
      .filter(({ kind, id, seq }) => this.#refused.get(`${kind} ${id}`) !== seq);
  }

  async #deliver(): Promise<Outcome<null>> {
    let refusal: string | undefined;
    for (const { kind, id, seq } of this.#pending()) {
      const config = storeConfigOf(this.#sql, kind, id);
      const init =
        config === null
          ? { method: "DELETE" }
          : { method: "PUT", body: JSON.stringify(config), redirect: "manual" as const };
      try {
        const response = await this.#store.fetch(`http://store/configs/${kind}/${id}`, init);
        const text = await response.text();
        if (!response.ok) {
          this.#refused.set(`${kind} ${id}`, seq);
          refusal ??= `${kind} ${id}: ${response.status} ${text}`;
          continue;
        }
      } catch (error) {
        const detail = `${kind} ${id}: ${(error as Error).message}`;
        return failure({ reason: "store-unreachable", detail });
      }
      this.#sql.exec(
        `DELETE FROM store_changes WHERE kind = ? AND id = ? AND seq <= ?`,
        kind,
        id,
        seq,
      );
      this.#refused.delete(`${kind} ${id}`);
    }
    return refusal === undefined
      ? success()
      : failure({ reason: "store-unreachable", detail: refusal });
  }
}
