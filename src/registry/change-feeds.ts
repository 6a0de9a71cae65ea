/**
 * Functions that are called with the changes of what they are bound to. Each such *feed* has a hidden queue, whose only
 * consumer is the function, and which keeps the order of what comes. Feeds go with their script and with their resource.
 * Functions that write are called in a transaction.
 */
import type { ChangeKind, ChangeRules, Notification } from "../protocol/changes.ts";
import { MAX_RETENTION_SECONDS } from "../protocol/queue.ts";
import type { StoreConfig } from "../protocol/store.ts";
import { Rejection } from "./failures.ts";
import { createHiddenQueue, type ConsumerSettings } from "./queues.ts";
import { requireResource, resourceById, updateResource } from "./resources.ts";

export interface ChangeFeedRecord {
  readonly id: string;
  readonly kind: ChangeKind;
  readonly resourceId: string;
  /** The binding that it was made by. */
  readonly binding: string;
  readonly queueId: string;
  readonly rules: ChangeRules;
  readonly settings: ConsumerSettings;
  readonly deadLetterQueue: string | null;
  readonly createdOn: number;
}

export interface NewChangeFeed extends Pick<
  ChangeFeedRecord,
  "kind" | "resourceId" | "binding" | "rules" | "settings" | "deadLetterQueue"
> {
  readonly accountId: string;
  /** Of the script's; null: the account's own. */
  readonly namespaceId: string | null;
  readonly scriptId: string;
}

/** Of one script. */
export const MAX_FEEDS = 50;

export function listFeeds(sql: SqlStorage, scriptId: string): ChangeFeedRecord[] {
  return sql
    .exec<FeedRow>(
      `SELECT * FROM change_feeds WHERE script_id = ? ORDER BY created_on, id`,
      scriptId,
    )
    .toArray()
    .map(toFeed);
}

export function requireFeed(sql: SqlStorage, scriptId: string, id: string): ChangeFeedRecord {
  const found = listFeeds(sql, scriptId).find((feed) => feed.id === id);
  if (found === undefined) throw new Rejection({ reason: "unknown-change-feed", id });
  return found;
}

/** Gets what changes from now on. */
export function addFeed(sql: SqlStorage, feed: NewChangeFeed, now: number): ChangeFeedRecord {
  const { scriptId, kind, resourceId, accountId, namespaceId, settings, deadLetterQueue } = feed;
  if (listFeeds(sql, scriptId).length >= MAX_FEEDS) {
    throw new Rejection({ reason: "too-many-change-feeds", max: MAX_FEEDS });
  }
  const resource = requireResource(sql, kind, resourceId);
  // From now on the store is told who follows it, also when nobody does any more.
  if (!("notifications" in resource.settings)) {
    const patch = { settings: { ...resource.settings, notifications: [] } };
    updateResource(sql, resource, patch, now);
  }
  const id = newId();
  const queue = createHiddenQueue(
    sql,
    {
      id: newId(),
      accountId,
      namespaceId,
      name: `changes-${id}`,
      settings: {
        deliveryDelaySeconds: 0,
        deliveryPaused: false,
        retentionSeconds: MAX_RETENTION_SECONDS,
        ordered: true,
      },
    },
    { scriptId, settings, deadLetterQueue },
    now,
  );
  sql.exec(
    `INSERT INTO change_feeds (id, script_id, kind, resource_id, binding, queue_id, rules, settings, dead_letter_queue, created_on)
     VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
    id,
    scriptId,
    kind,
    resourceId,
    feed.binding,
    queue.id,
    JSON.stringify(feed.rules),
    JSON.stringify(settings),
    deadLetterQueue,
    now,
  );
  return requireFeed(sql, scriptId, id);
}

/** Its queue goes with it, by a trigger. */
export function removeFeed(sql: SqlStorage, scriptId: string, id: string): void {
  requireFeed(sql, scriptId, id);
  sql.exec(`DELETE FROM change_feeds WHERE id = ?`, id);
}

/** Adds to what the store is told of a resource. */
export function withFeeds(sql: SqlStorage, config: StoreConfig): StoreConfig {
  const feeds = sql
    .exec<FeedRow>(
      `SELECT * FROM change_feeds WHERE kind = ? AND resource_id = ? ORDER BY created_on, id`,
      config.kind,
      config.id,
    )
    .toArray()
    .map(toFeed)
    .map(({ queueId, rules }): Notification => ({ queueId, rules: [rules], isFeed: true }));
  const given = config.settings["notifications"] as readonly Notification[] | undefined;
  if (given === undefined && feeds.length === 0) return config;
  const changes =
    config.kind === "d1" && feeds.some(({ rules }) => rules.some(({ tables }) => !tables))
      ? ["*"]
      : feeds.flatMap(({ rules }) => rules.flatMap(({ tables = [] }) => tables));
  // What is written down for a queue that is gone would wait for ever.
  const others = (given ?? []).filter(
    ({ queueId }) => resourceById(sql, "queue", queueId) !== null,
  );
  return {
    ...config,
    settings: { ...config.settings, notifications: [...others, ...feeds], changes },
  };
}

interface FeedRow extends Record<string, SqlStorageValue> {
  id: string;
  kind: string;
  resource_id: string;
  binding: string;
  queue_id: string;
  rules: string;
  settings: string;
  dead_letter_queue: string | null;
  created_on: number;
}

function toFeed(row: FeedRow): ChangeFeedRecord {
  return {
    id: row.id,
    kind: row.kind as ChangeKind,
    resourceId: row.resource_id,
    binding: row.binding,
    queueId: row.queue_id,
    rules: JSON.parse(row.rules) as ChangeRules,
    settings: JSON.parse(row.settings) as ConsumerSettings,
    deadLetterQueue: row.dead_letter_queue,
    createdOn: row.created_on,
  };
}

function newId(): string {
  return crypto.randomUUID().replaceAll("-", "");
}
