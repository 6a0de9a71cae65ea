/**
 * Where changes are written down, by kind. KV namespaces and buckets write down with each who gets it; databases, which are
 * in another process, do not.
 */
import type { ChangeKind, WrittenChange } from "../../protocol/changes.ts";
import type { StoreConfig } from "../../protocol/store.ts";
import type { StoreEnv } from "../env.ts";
import { bucketOf } from "../r2/bind.ts";
import { notificationsOf } from "./outbox.ts";

export interface ChangeSource {
  /** The oldest after `after`. */
  changes(after: number, limit: number): Promise<readonly WrittenChange[]>;
  /** Where a queue begins that gets what changes from now on. */
  last(): Promise<number>;
  /** These are not needed any more. */
  trim(upTo: number): Promise<void>;
}

export function sourceOf(env: StoreEnv, config: StoreConfig): ChangeSource {
  const { kind, id } = config;
  switch (kind as ChangeKind) {
    case "kv": {
      const namespace = env.KV.getByName(id);
      return {
        changes: (after, limit) => namespace.changes(after, limit),
        last: () => Promise.resolve(0),
        trim: (upTo) => namespace.trim(upTo),
      };
    }
    case "r2": {
      const bucket = bucketOf(env, id);
      return {
        changes: (after, limit) => bucket.changes(after, limit),
        last: () => Promise.resolve(0),
        trim: (upTo) => bucket.trim(upTo),
      };
    }
    case "d1":
      return new Database(env, config);
  }
}

/** A row as src/store/d1/changes.ts has noted it. */
interface RowChange {
  readonly seq: number;
  readonly atMs: number;
  /** Empty: the whole database. */
  readonly table: string;
  readonly op: string;
  readonly key: unknown;
  readonly old: unknown;
  readonly new: unknown;
}

/** Notes all changes of the tables that anybody follows; who gets which is decided here. */
class Database implements ChangeSource {
  readonly #env: StoreEnv;
  readonly #config: StoreConfig;

  constructor(env: StoreEnv, config: StoreConfig) {
    this.#env = env;
    this.#config = config;
  }

  async changes(after: number, limit: number): Promise<readonly WrittenChange[]> {
    const { changes } = await this.#ask(after, limit);
    return changes.map((change) => ({
      seq: change.seq,
      queues: this.#queuesOf(change),
      message: this.#messageOf(change),
    }));
  }

  async last(): Promise<number> {
    return (await this.#ask(0, 0)).last;
  }

  async trim(upTo: number): Promise<void> {
    const init = { method: "POST", body: JSON.stringify({ upTo }) };
    const response = await this.#env.DATABASES.fetch(`${this.#url}/trim`, init);
    if (!response.ok) throw await refusal(response);
    await response.body?.cancel();
  }

  get #url(): string {
    return `http://databases/d1/${this.#config.id}/changes`;
  }

  async #ask(after: number, limit: number): Promise<{ changes: RowChange[]; last: number }> {
    const response = await this.#env.DATABASES.fetch(`${this.#url}?after=${after}&limit=${limit}`);
    if (!response.ok) throw await refusal(response);
    return response.json();
  }

  #queuesOf({ table, op }: RowChange): string[] {
    return notificationsOf(this.#config)
      .filter(({ rules }) =>
        rules.some(
          ({ actions, tables }) =>
            actions.includes(op) && (table === "" || !tables || tables.includes(table)),
        ),
      )
      .map(({ queueId }) => queueId);
  }

  #messageOf({ atMs, table, op, key, old, new: now }: RowChange): Record<string, unknown> {
    const { accountId, name, id } = this.#config;
    return {
      account: accountId,
      action: op,
      database: name,
      databaseId: id,
      ...(table !== "" && { table, key, old, new: now }),
      eventTime: new Date(atMs).toISOString(),
    };
  }
}

async function refusal(response: Response): Promise<Error> {
  return new Error(`the databases answered ${response.status} ${await response.text()}`);
}
