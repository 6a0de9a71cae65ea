/** Queues: how they are set, and what the store's parts put into them. */
import type { MessageContentType } from "./events.ts";
import type { StoreConfig } from "./store.ts";

/** As on Cloudflare. */
export const MAX_DELAY_SECONDS = 24 * 3_600;
export const MAX_RETENTION_SECONDS = 14 * 24 * 3_600;
export const MIN_RETENTION_SECONDS = 60;
export const MAX_MESSAGE_BYTES = 128 * 1_000;
/** Of the messages that one call sends together. */
export const MAX_BATCH_BYTES = 288 * 1_000;
export const MAX_BATCH_MESSAGES = 100;
/** Of those that a consumer gets together, or pulls. */
export const MAX_CONSUMED_MESSAGES = 100;

/** In a request in the producer's protocol: the delay of messages for which nothing else says one, in seconds. */
export const QUEUE_DELAY_HEADER = "x-skep-queue-delay";

export interface QueueSettings {
  readonly deliveryDelaySeconds: number;
  readonly deliveryPaused: boolean;
  readonly retentionSeconds: number;
  /** It belongs to a subscription, and the API does not show it. */
  readonly hidden?: true;
  /** One batch at a time, in the order of arrival: what fails holds up what came after it. */
  readonly ordered?: true;
}

export const DEFAULT_QUEUE_SETTINGS: QueueSettings = {
  deliveryDelaySeconds: 0,
  deliveryPaused: false,
  retentionSeconds: 4 * 24 * 3_600,
};

/** Who takes messages: a Worker that they are brought to, or whoever asks over HTTP. */
export type QueueConsumer = WorkerConsumer | PullConsumer;

interface AnyConsumer {
  readonly id: string;
  readonly batchSize: number;
  /** After the first try. */
  readonly maxRetries: number;
  /** null: none is set. */
  readonly retryDelaySeconds: number | null;
  /** Id of the queue that gets what was tried too often; null: there is none, and such messages go. */
  readonly deadLetterQueue: string | null;
}

export interface WorkerConsumer extends AnyConsumer {
  readonly type: "worker";
  /** By name. */
  readonly namespace: string;
  readonly script: string;
  /** How long a message waits for others that fill its batch. */
  readonly maxWaitMs: number;
  /** null: as many as the store allows. */
  readonly maxConcurrency: number | null;
}

export interface PullConsumer extends AnyConsumer {
  readonly type: "http_pull";
  /** For how long a pulled message is kept from others, unless the pull says. */
  readonly visibilityTimeoutMs: number;
}

/** What the store is told of a queue. */
export interface QueueConfig extends StoreConfig {
  readonly kind: "queue";
  readonly settings: QueueSettings & Readonly<Record<string, unknown>>;
  /** null: nobody takes messages. */
  readonly consumer: QueueConsumer | null;
}

/** A message that is put into a queue. */
export interface NewMessage {
  readonly contentType: MessageContentType;
  /** Bytes of `bytes` and `v8`; else the text. */
  readonly body: string | Uint8Array;
  readonly delaySeconds?: number;
  /** Of a message that was in another queue before. */
  readonly id?: string;
  readonly timestampMs?: number;
  /**
   * With a source: its number there, in ascending order. What the queue has of that source already, it does not take
   * again.
   */
  readonly sequence?: number;
}
