/**
 * Has the supervisor do what became of classes of Durable Objects: deletes and moves the directories of their objects. Triggers
 * (schema.ts) note it in the outbox `object_changes`, in the transaction of the change; what could not be delivered stays
 * there, and no stateful cell is made before it is.
 */
import type { ObjectChange, ObjectChanges } from "../protocol/objects.ts";
import type { Outcome } from "./failures.ts";
import { failure, success } from "./result.ts";
import { changeObjects } from "./supervisor.ts";

export class ObjectDelivery {
  readonly #sql: SqlStorage;
  readonly #supervisor: Fetcher;
  #underWay: Promise<Outcome<null>> | null = null;

  constructor(sql: SqlStorage, supervisor: Fetcher) {
    this.#sql = sql;
    this.#supervisor = supervisor;
  }

  /** Resolves once every change that was committed before this call is done. */
  async settle(): Promise<Outcome<null>> {
    while (this.hasPending) {
      this.#underWay ??= this.#deliver().finally(() => (this.#underWay = null));
      const delivered = await this.#underWay;
      if (!delivered.ok) return delivered;
    }
    return success();
  }

  get hasPending(): boolean {
    return this.#sql.exec(`SELECT 1 FROM object_changes LIMIT 1`).toArray().length > 0;
  }

  async #deliver(): Promise<Outcome<null>> {
    const pending = this.#sql
      .exec<{ seq: number; change: string }>(`SELECT seq, change FROM object_changes ORDER BY seq`)
      .toArray();
    const changes: ObjectChanges = {
      changes: pending.map(({ change }) => JSON.parse(change) as ObjectChange),
    };
    const done = await changeObjects(this.#supervisor, changes);
    if (!done.ok) return failure({ reason: "objects-unreachable", detail: done.failure });
    this.#sql.exec(`DELETE FROM object_changes WHERE seq <= ?`, pending.at(-1)?.seq ?? 0);
    return success();
  }
}
