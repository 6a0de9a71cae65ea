/**
 * Who takes messages of queues, and hidden queues, by which a subscription reaches a function. The queues themselves are
 * resources (resources.ts). Functions that write are called in a transaction; triggers tell the store of what they change.
 */
import type { QueueConfig, QueueConsumer, QueueSettings } from "../protocol/queue.ts";
import type { StoreConfig } from "../protocol/store.ts";
import { Rejection } from "./failures.ts";
import {
  createResource,
  findResource,
  type NewResource,
  type ResourceRecord,
} from "./resources.ts";

/** As it was set; what is absent is the default of the type. */
export interface ConsumerSettings {
  readonly batchSize?: number | undefined;
  readonly maxRetries?: number | undefined;
  readonly retryDelaySeconds?: number | undefined;
  readonly maxWaitMs?: number | undefined;
  readonly maxConcurrency?: number | undefined;
  readonly visibilityTimeoutMs?: number | undefined;
}

export interface ConsumerRecord {
  readonly id: string;
  readonly queueId: string;
  /** null: whoever pulls. `namespace` is the name of the one that the script is in. */
  readonly worker: {
    readonly namespaceId: string;
    readonly namespace: string;
    readonly script: string;
    /** Outside of dispatch namespaces. */
    readonly isAccounts: boolean;
  } | null;
  readonly settings: ConsumerSettings;
  /** By name, among the queues of the same owner. */
  readonly deadLetterQueue: string | null;
  readonly createdOn: number;
}

export interface NewConsumer extends Pick<ConsumerRecord, "settings" | "deadLetterQueue"> {
  readonly queueId: string;
  /** null: whoever pulls. */
  readonly scriptId: string | null;
}

/** As on Cloudflare. */
export const CONSUMER_DEFAULTS = {
  batchSize: 10,
  maxRetries: 3,
  maxWaitMs: 5_000,
  visibilityTimeoutMs: 30_000,
} as const;

const SELECT = `
  SELECT queue_consumers.*, scripts.name AS script, namespaces.id AS namespace_id, namespaces.name AS namespace,
    namespaces.kind AS namespace_kind
  FROM queue_consumers
  LEFT JOIN scripts ON scripts.id = queue_consumers.script_id
  LEFT JOIN namespaces ON namespaces.id = scripts.namespace_id`;

/** null: nobody takes its messages. */
export function consumerOf(sql: SqlStorage, queueId: string): ConsumerRecord | null {
  const [row] = sql.exec<ConsumerRow>(`${SELECT} WHERE queue_id = ?`, queueId).toArray();
  return row ? toConsumer(row) : null;
}

/** A queue has one at most. */
export function addConsumer(sql: SqlStorage, consumer: NewConsumer, now: number): ConsumerRecord {
  const { queueId, scriptId, settings, deadLetterQueue } = consumer;
  if (consumerOf(sql, queueId) !== null) {
    throw new Rejection({ reason: "queue-consumer-exists", queueId });
  }
  const id = crypto.randomUUID().replaceAll("-", "");
  sql.exec(
    `INSERT INTO queue_consumers (id, queue_id, script_id, settings, dead_letter_queue, created_on)
     VALUES (?, ?, ?, ?, ?, ?)`,
    id,
    queueId,
    scriptId,
    JSON.stringify(settings),
    deadLetterQueue,
    now,
  );
  return requireConsumer(sql, queueId, id);
}

/** All of it anew. */
export function updateConsumer(
  sql: SqlStorage,
  id: string,
  { queueId, scriptId, settings, deadLetterQueue }: NewConsumer,
): ConsumerRecord {
  requireConsumer(sql, queueId, id);
  sql.exec(
    `UPDATE queue_consumers SET script_id = ?, settings = ?, dead_letter_queue = ? WHERE id = ?`,
    scriptId,
    JSON.stringify(settings),
    deadLetterQueue,
    id,
  );
  return requireConsumer(sql, queueId, id);
}

export function removeConsumer(sql: SqlStorage, queueId: string, id: string): void {
  requireConsumer(sql, queueId, id);
  sql.exec(`DELETE FROM queue_consumers WHERE id = ?`, id);
}

export function requireConsumer(sql: SqlStorage, queueId: string, id: string): ConsumerRecord {
  const found = consumerOf(sql, queueId);
  if (found?.id === id) return found;
  throw new Rejection({ reason: "no-queue-consumer", id });
}

/**
 * A queue that the API does not show, whose only consumer is a function: by it a bucket or a database tells the function of
 * its changes. Who made it deletes it.
 */
export function createHiddenQueue(
  sql: SqlStorage,
  queue: Omit<NewResource, "kind" | "settings"> & { readonly settings: QueueSettings },
  consumer: Omit<NewConsumer, "queueId">,
  now: number,
): ResourceRecord {
  const settings = { ...queue.settings, hidden: true };
  const made = createResource(sql, { ...queue, kind: "queue", settings }, now);
  addConsumer(sql, { ...consumer, queueId: made.id }, now);
  return made;
}

export function isHidden({ settings }: ResourceRecord): boolean {
  return settings["hidden"] === true;
}

/** A Worker with a binding to it. */
export interface ProducerRecord {
  readonly namespace: string;
  readonly kind: "account" | "dispatch";
  readonly script: string;
}

/** By the versions in force. */
export function producersOf(sql: SqlStorage, queueId: string): ProducerRecord[] {
  return sql
    .exec<Record<keyof ProducerRecord, string>>(
      `SELECT namespaces.name AS namespace, namespaces.kind, scripts.name AS script
       FROM scripts
       JOIN versions ON versions.id = scripts.version_id
       JOIN namespaces ON namespaces.id = scripts.namespace_id
       WHERE EXISTS (
         SELECT 1 FROM json_each(versions.bindings) AS binding
         WHERE binding.value ->> 'type' = 'queue' AND binding.value ->> 'resourceId' = ?
       )
       ORDER BY namespaces.name, scripts.name`,
      queueId,
    )
    .toArray() as unknown as ProducerRecord[];
}

/** Adds to what the store is told of any resource. */
export function queueConfigOf(sql: SqlStorage, config: StoreConfig): QueueConfig {
  const consumer = consumerOf(sql, config.id);
  return {
    ...config,
    kind: "queue",
    settings: config.settings as unknown as QueueConfig["settings"],
    consumer: consumer && toConfig(sql, config, consumer),
  };
}

function toConfig(sql: SqlStorage, config: StoreConfig, consumer: ConsumerRecord): QueueConsumer {
  const { accountId, namespaceId } = config;
  const { settings, worker, deadLetterQueue } = consumer;
  const query = { accountId, kind: "queue", owners: [namespaceId] } as const;
  const dead = deadLetterQueue && findResource(sql, query, { name: deadLetterQueue });
  const common = {
    id: consumer.id,
    batchSize: settings.batchSize ?? CONSUMER_DEFAULTS.batchSize,
    maxRetries: settings.maxRetries ?? CONSUMER_DEFAULTS.maxRetries,
    retryDelaySeconds: settings.retryDelaySeconds ?? null,
    deadLetterQueue: dead && !isHidden(dead) ? dead.id : null,
  };
  if (worker === null) {
    const { visibilityTimeoutMs = CONSUMER_DEFAULTS.visibilityTimeoutMs } = settings;
    return { type: "http_pull", ...common, visibilityTimeoutMs };
  }
  return {
    type: "worker",
    ...common,
    namespace: worker.namespace,
    script: worker.script,
    maxWaitMs: settings.maxWaitMs ?? CONSUMER_DEFAULTS.maxWaitMs,
    maxConcurrency: settings.maxConcurrency ?? null,
  };
}

interface ConsumerRow extends Record<string, SqlStorageValue> {
  id: string;
  queue_id: string;
  namespace_id: string | null;
  namespace: string | null;
  namespace_kind: string | null;
  script: string | null;
  settings: string;
  dead_letter_queue: string | null;
  created_on: number;
}

function toConsumer(row: ConsumerRow): ConsumerRecord {
  const { namespace_id: namespaceId, namespace, script } = row;
  return {
    id: row.id,
    queueId: row.queue_id,
    worker:
      namespaceId === null || namespace === null || script === null
        ? null
        : { namespaceId, namespace, script, isAccounts: row.namespace_kind === "account" },
    settings: JSON.parse(row.settings) as ConsumerSettings,
    deadLetterQueue: row.dead_letter_queue,
    createdOn: row.created_on,
  };
}
