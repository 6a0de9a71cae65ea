/**
 * The changes of one resource that somebody is to get, in the table `outbox` of its database: written in the transaction of
 * the change, so that each is there exactly if its change is.
 */
import type { Notification, WrittenChange } from "../../protocol/changes.ts";
import type { StoreConfig } from "../../protocol/store.ts";

/** More than any queue is late while it takes what comes. */
const MAX_WAITING = 1_000_000;

/**
 * Why nothing is to be written that others are to be told of: queues that take nothing more let changes wait here, which
 * no quota counts. Deleting goes on. undefined: there is room.
 */
export function whyFull(sql: SqlStorage, config: StoreConfig): string | undefined {
  if (notificationsOf(config).length === 0) return undefined;
  const { waiting } = sql
    .exec<{ waiting: number | null }>(
      `SELECT (SELECT max(seq) FROM outbox) - (SELECT min(seq) FROM outbox) AS waiting`,
    )
    .one();
  if ((waiting ?? 0) < MAX_WAITING) return undefined;
  return `${MAX_WAITING} changes of '${config.name}' wait for queues that take no more of them: make room in these, or end what follows it.`;
}

interface Subject {
  readonly action: string;
  /** Of a KV namespace or a bucket. */
  readonly key: string;
}

export class Outbox {
  readonly #sql: SqlStorage;
  #notifications: readonly Notification[] = [];

  constructor(sql: SqlStorage) {
    this.#sql = sql;
  }

  configure(config: StoreConfig): void {
    this.#notifications = notificationsOf(config);
    if (this.#notifications.length > 0) this.#create();
  }

  /** Returns whether anybody is to get it. */
  write({ action, key }: Subject, message: () => Record<string, unknown>): boolean {
    if (this.#notifications.length === 0) return false;
    const queues = this.#notifications
      .filter(({ rules }) =>
        rules.some(
          ({ actions, prefix = "", suffix = "" }) =>
            actions.includes(action) && key.startsWith(prefix) && key.endsWith(suffix),
        ),
      )
      .map(({ queueId }) => queueId);
    if (queues.length === 0) return false;
    this.#sql.exec(
      `INSERT INTO outbox (queues, message) VALUES (?, ?)`,
      JSON.stringify(queues),
      JSON.stringify(message()),
    );
    return true;
  }

  /** The oldest after `after`. */
  changes(after: number, limit: number): WrittenChange[] {
    this.#create();
    return this.#sql
      .exec<{ seq: number; queues: string; message: string }>(
        `SELECT * FROM outbox WHERE seq > ? ORDER BY seq LIMIT ?`,
        after,
        limit,
      )
      .toArray()
      .map(({ seq, queues, message }) => ({
        seq,
        queues: JSON.parse(queues) as string[],
        message: JSON.parse(message) as Record<string, unknown>,
      }));
  }

  trim(upTo: number): void {
    this.#create();
    this.#sql.exec(`DELETE FROM outbox WHERE seq <= ?`, upTo);
  }

  #create(): void {
    this.#sql.exec(
      `CREATE TABLE IF NOT EXISTS outbox (
         seq INTEGER PRIMARY KEY AUTOINCREMENT, queues TEXT NOT NULL, message TEXT NOT NULL
       ) STRICT`,
    );
  }
}

export function notificationsOf({ settings }: StoreConfig): readonly Notification[] {
  return (settings["notifications"] ?? []) as readonly Notification[];
}
