/**
 * Taking messages over HTTP: each that is pulled is leased to whoever pulled it, and hidden until the lease ends. Functions
 * are called in a transaction.
 */
import type { QueuedMessage } from "../../protocol/events.ts";
import type { PullConsumer, QueueConfig } from "../../protocol/queue.ts";
import type { DeadLetters } from "./dead-letters.ts";
import { newId, toQueued, type Messages, type StoredMessage } from "./messages.ts";

export interface PullOptions {
  /** undefined: as the consumer is set. */
  readonly batchSize?: number | undefined;
  readonly visibilityTimeoutMs?: number | undefined;
}

export interface PulledMessage extends QueuedMessage {
  readonly lease: string;
}

export interface Acknowledgement {
  readonly acks: readonly string[];
  readonly retries: readonly {
    readonly lease: string;
    readonly delaySeconds?: number | undefined;
  }[];
}

interface Parts {
  readonly messages: Messages;
  readonly deadLetters: DeadLetters;
}

const MAX_PULLED_BYTES = 4_000_000;

/** null: the queue has no consumer that pulls. */
export function pull(
  { messages, deadLetters }: Parts,
  config: QueueConfig,
  options: PullOptions,
  now: number,
): PulledMessage[] | null {
  const consumer = pullerOf(config);
  if (consumer === null) return null;
  if (config.settings.deliveryPaused) return [];
  const { batchSize = consumer.batchSize } = options;
  const until = now + (options.visibilityTimeoutMs ?? consumer.visibilityTimeoutMs);
  for (;;) {
    const due = messages.due({ due: 0, seq: 0 }, now, batchSize, MAX_PULLED_BYTES);
    const spent = due.filter(({ attempts }) => attempts > consumer.maxRetries);
    deadLetters.add(
      spent.map(({ seq }) => seq),
      consumer.deadLetterQueue,
      now,
    );
    const pulled = due.filter(({ attempts }) => attempts <= consumer.maxRetries);
    if (pulled.length === 0 && spent.length > 0) continue;
    return pulled.map((message) => leased(messages, message, until));
  }
}

function leased(messages: Messages, message: StoredMessage, until: number): PulledMessage {
  const lease = newId();
  messages.lease(message.seq, lease, until);
  return { ...toQueued(message), lease: `${message.seq}.${lease}` };
}

export interface Acknowledged {
  readonly acked: number;
  readonly retried: number;
  /** Leases that had ended, or never were. */
  readonly warnings: Readonly<Record<string, string>>;
}

export function acknowledge(
  { messages, deadLetters }: Parts,
  config: QueueConfig,
  { acks, retries }: Acknowledgement,
  now: number,
): Acknowledged | null {
  const consumer = pullerOf(config);
  if (consumer === null) return null;
  const warnings: Record<string, string> = {};
  let acked = 0;
  let retried = 0;
  const withLease = (text: string, act: (seq: number, attempts: number) => void) => {
    const [seq = "", lease = ""] = text.split(".");
    const found = messages.leased(Number(seq), lease, now);
    if (found === undefined) warnings[text] = "this lease has ended, or never was";
    else act(Number(seq), found.attempts);
  };
  for (const lease of acks) {
    withLease(lease, (seq) => {
      messages.remove([seq]);
      acked++;
    });
  }
  for (const { lease, delaySeconds } of retries) {
    withLease(lease, (seq, attempts) => {
      const delayMs = (delaySeconds ?? consumer.retryDelaySeconds ?? 0) * 1_000;
      if (attempts > consumer.maxRetries) deadLetters.add([seq], consumer.deadLetterQueue, now);
      else messages.release(seq, now + delayMs);
      retried++;
    });
  }
  return { acked, retried, warnings };
}

/** A message, and by what it can be removed. */
export interface PeekedMessage extends QueuedMessage {
  readonly ref: string;
}

export function peek(messages: Messages, limit: number, now: number): PeekedMessage[] {
  return messages
    .due({ due: 0, seq: 0 }, now, limit, MAX_PULLED_BYTES)
    .map((message) => ({ ...toQueued(message), ref: String(message.seq) }));
}

function pullerOf({ consumer }: QueueConfig): PullConsumer | null {
  return consumer?.type === "http_pull" ? consumer : null;
}
