/** Which changes of objects somebody wants to be told of. What they are told is Cloudflare's event notification. */
import type { R2Action, R2Notification } from "../../protocol/r2-rules.ts";
import type { StoreConfig } from "../../protocol/store.ts";

export interface Change {
  readonly action: R2Action;
  readonly key: string;
  /** Of what is there now; none after a deletion. */
  readonly made?: { readonly size: number; readonly etag: string };
  readonly copySource?: { readonly bucket: string; readonly object: string };
}

/** One that has been written down, to be delivered to each of `queues`. */
export interface WrittenChange {
  readonly seq: number;
  /** Ids. */
  readonly queues: readonly string[];
  readonly message: ChangeMessage;
}

/** What a queue gets. */
export interface ChangeMessage {
  readonly account: string;
  readonly action: R2Action;
  readonly bucket: string;
  readonly object: { readonly key: string; readonly size?: number; readonly eTag?: string };
  readonly eventTime: string;
  readonly copySource?: { readonly bucket: string; readonly object: string };
}

/** Returns whether anybody is to get it. */
export function writeChange(sql: SqlStorage, config: StoreConfig, change: Change): boolean {
  const notifications = (config.settings["notifications"] ?? []) as readonly R2Notification[];
  const queues = notifications
    .filter(({ rules }) =>
      rules.some(
        ({ prefix = "", suffix = "", actions }) =>
          actions.includes(change.action) &&
          change.key.startsWith(prefix) &&
          change.key.endsWith(suffix),
      ),
    )
    .map(({ queueId }) => queueId);
  if (queues.length === 0) return false;
  const { action, key, made, copySource } = change;
  const message: ChangeMessage = {
    account: config.accountId,
    action,
    bucket: config.name,
    object: { key, ...(made && { size: made.size, eTag: made.etag }) },
    eventTime: new Date().toISOString(),
    ...(copySource && { copySource }),
  };
  sql.exec(
    `INSERT INTO outbox (queues, message) VALUES (?, ?)`,
    JSON.stringify(queues),
    JSON.stringify(message),
  );
  return true;
}

/** The oldest after `after`. */
export function changes(sql: SqlStorage, after: number, limit: number): WrittenChange[] {
  return sql
    .exec<{ seq: number; queues: string; message: string }>(
      `SELECT * FROM outbox WHERE seq > ? ORDER BY seq LIMIT ?`,
      after,
      limit,
    )
    .toArray()
    .map(({ seq, queues, message }) => ({
      seq,
      queues: JSON.parse(queues) as string[],
      message: JSON.parse(message) as ChangeMessage,
    }));
}

export function trim(sql: SqlStorage, upTo: number): void {
  sql.exec(`DELETE FROM outbox WHERE seq <= ?`, upTo);
}
