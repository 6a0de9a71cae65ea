/** What changed in a KV namespace, for whoever follows it. An expired key is deleted when it is swept. */
import { Outbox, whyFull } from "../changes/outbox.ts";
import { nudgeFollower } from "../changes/follow.ts";
import type { StoreConfig } from "../../protocol/store.ts";
import type { WrittenChange } from "../../protocol/changes.ts";
import type { StoreEnv } from "../env.ts";
import { QuotaError } from "../quota.ts";

export class ChangeLog {
  readonly #ctx: DurableObjectState;
  readonly #env: StoreEnv;
  readonly #outbox: Outbox;
  #config: StoreConfig | undefined;
  #isNudging = false;

  /** @param config As it was last configured. */
  constructor(ctx: DurableObjectState, env: StoreEnv, config: StoreConfig | undefined) {
    this.#ctx = ctx;
    this.#env = env;
    this.#outbox = new Outbox(ctx.storage.sql);
    if (config !== undefined) this.follow(config);
  }

  follow(config: StoreConfig): void {
    this.#config = config;
    this.#outbox.configure(config);
  }

  /** @throws QuotaError if nothing more is to be put. */
  refuseFull(): void {
    const why = this.#config && whyFull(this.#ctx.storage.sql, this.#config);
    if (why !== undefined) throw new QuotaError(why);
  }

  /** Within the transaction of the change. */
  note(action: "put" | "delete", key: string): void {
    const config = this.#config;
    if (config === undefined) return;
    const isWritten = this.#outbox.write({ action, key }, () => ({
      account: config.accountId,
      action,
      namespace: config.name,
      namespaceId: config.id,
      key,
      eventTime: new Date().toISOString(),
    }));
    if (isWritten) this.#nudge(config.id);
  }

  changes(after: number, limit: number): WrittenChange[] {
    return this.#outbox.changes(after, limit);
  }

  trim(upTo: number): void {
    this.#outbox.trim(upTo);
  }

  /** It leaves once the change is committed. */
  #nudge(id: string): void {
    if (this.#isNudging) return;
    this.#isNudging = true;
    const nudged = nudgeFollower(this.#env, "kv", id)
      // The follower looks by itself after a while.
      .catch(() => {})
      .finally(() => (this.#isNudging = false));
    this.#ctx.waitUntil(nudged);
  }
}
