/**
 * Brings what the registry knows of resources and scripts to the store: one configuration for each thing, whole, so that order
 * does not matter. Triggers (schema.ts) note in the outbox `store_changes` what changed, in the transaction of the change;
 * what could not be delivered stays there for the next call or the alarm.
 */
import type { ConfigKind } from "../protocol/store.ts";
import type { Outcome } from "./failures.ts";
import { failure, success } from "./result.ts";
import { storeConfigOf } from "./store-config.ts";

export class StoreDelivery {
  readonly #sql: SqlStorage;
  readonly #store: Fetcher;
  #underWay: Promise<Outcome<null>> | null = null;

  constructor(sql: SqlStorage, store: Fetcher) {
    this.#sql = sql;
    this.#store = store;
  }

  /** Resolves once the store has taken every change that was committed before this call. */
  async settle(): Promise<Outcome<null>> {
    while (this.hasPending) {
      this.#underWay ??= this.#deliver().finally(() => (this.#underWay = null));
      const delivered = await this.#underWay;
      if (!delivered.ok) return delivered;
    }
    return success();
  }

  get hasPending(): boolean {
    return this.#sql.exec(`SELECT 1 FROM store_changes LIMIT 1`).toArray().length > 0;
  }

  async #deliver(): Promise<Outcome<null>> {
    const changes = this.#sql
      .exec<{ kind: ConfigKind; id: string; seq: number }>(
        `SELECT kind, id, MAX(seq) AS seq FROM store_changes GROUP BY kind, id ORDER BY seq`,
      )
      .toArray();
    for (const { kind, id, seq } of changes) {
      const config = storeConfigOf(this.#sql, kind, id);
      const init =
        config === null
          ? { method: "DELETE" }
          : { method: "PUT", body: JSON.stringify(config), redirect: "manual" as const };
      try {
        const response = await this.#store.fetch(`http://store/configs/${kind}/${id}`, init);
        const text = await response.text();
        if (!response.ok) throw new Error(`${response.status} ${text}`);
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
    }
    return success();
  }
}
