/**
 * Brings the messages of one queue to its consumer, a Worker, as batches. `run` goes on for as long as something is under way
 * or can start; when to call it next says `wakeAt`. What a handler decides is written at once; a delivery that did not come
 * about is no attempt of its messages: they are to be had again, and all deliveries wait a while, longer each time. Only
 * what is lost with its process again and again is tried no oftener than what fails.
 */
import type { EventDelivery, EventResult } from "../../protocol/events.ts";
import type { QueueConfig, WorkerConsumer } from "../../protocol/queue.ts";
import type { DeadLetters } from "./dead-letters.ts";
import { toQueued, type Messages, type StoredMessage } from "./messages.ts";
import { decide } from "./verdict.ts";

/** Where a consumer says nothing. */
const USUAL_CONCURRENCY = 10;
/** Of one batch; a message alone may be larger. */
const MAX_BATCH_BYTES = 4_000_000;
/** Of all batches under way. */
const MAX_BYTES_UNDER_WAY = 16_000_000;
/** Of a message, in a row, with a process each time: nobody knows whether it is why. */
const FREE_LOSSES = 5;
/** After a delivery that did not come about. */
const FIRST_HOLD_MS = 250;
const MAX_HOLD_MS = 60_000;

export interface DeliveryOptions {
  readonly storage: DurableObjectStorage;
  readonly messages: Messages;
  readonly deadLetters: DeadLetters;
  readonly deliver: (delivery: EventDelivery) => Promise<EventResult>;
}

export class Deliveries {
  readonly #options: DeliveryOptions;
  #underWay = 0;
  #bytesUnderWay = 0;
  /** Of a delivery whose end could not be stored. */
  #broken: { readonly error: unknown } | undefined;
  /** In a row, deliveries that did not come about. */
  #failures = 0;
  #heldUntil = 0;
  #isEnded = false;
  /** Lets `run` look again. */
  #again: () => void = () => {};

  constructor(options: DeliveryOptions) {
    this.#options = options;
  }

  /** The queue is gone: what handlers say from now on matters to nobody. */
  end(): void {
    this.#isEnded = true;
    this.#again();
  }

  /** There is something new: a message, or another configuration. */
  notice(): void {
    this.#again();
  }

  /** Its consumer is another now, or changed. */
  forgive(): void {
    this.#failures = 0;
    this.#heldUntil = 0;
    this.#again();
  }

  /** When there is something to start; null: nothing is waiting. */
  wakeAt(config: QueueConfig, now: number): number | null {
    const consumer = consumerOf(config);
    if (consumer === null) return null;
    const { messages } = this.#options;
    const due = messages.nextDue;
    if (due === null) return null;
    if (this.#heldUntil > now) return Math.max(this.#heldUntil, due);
    if (due > now) return due + consumer.maxWaitMs;
    const { count, since } = messages.waiting(now, consumer.batchSize);
    return count >= consumer.batchSize ? now : (since ?? now) + consumer.maxWaitMs;
  }

  /**
   * Resolves when nothing is under way and nothing can start. `config` is called again and again: as it is at that moment;
   * null: the queue is gone.
   */
  async run(config: () => QueueConfig | null): Promise<void> {
    for (;;) {
      const current = config();
      while (current !== null && this.#start(current)) {
        // Until all places are taken, or no batch is complete.
      }
      if (this.#broken !== undefined) throw this.#broken.error;
      if (this.#underWay === 0) return;
      // Each delivery that ends says so: a slow one must not gather those who wait.
      const changed = new Promise<void>((resolve) => (this.#again = resolve));
      const timer = new AbortController();
      await Promise.race([changed, this.#nextBatch(current, timer.signal)]);
      timer.abort();
    }
  }

  /** While others are under way. */
  async #nextBatch(config: QueueConfig | null, signal: AbortSignal): Promise<void> {
    const now = Date.now();
    const at = config && this.wakeAt(config, now);
    if (at === null || at <= now) return new Promise(() => {});
    await scheduler.wait(at - now, { signal }).catch(() => {
      // Something else came first.
    });
  }

  /** False: nothing could be started. */
  #start(config: QueueConfig): boolean {
    const consumer = consumerOf(config);
    const now = Date.now();
    if (consumer === null || this.#heldUntil > now) return false;
    const places = config.settings.ordered ? 1 : (consumer.maxConcurrency ?? USUAL_CONCURRENCY);
    if (this.#underWay >= places || this.#bytesUnderWay >= MAX_BYTES_UNDER_WAY) return false;
    const { batchSize, maxWaitMs } = consumer;
    const { messages } = this.#options;
    const { count, since } = messages.waiting(now, batchSize);
    if (count === 0 || (count < batchSize && (since ?? now) + maxWaitMs > now)) return false;
    const batch = messages.take(now, batchSize, MAX_BATCH_BYTES);
    const bytes = batch.reduce((sum, message) => sum + message.bytes, 0);
    this.#underWay++;
    this.#bytesUnderWay += bytes;
    this.#deliver(config, consumer, batch)
      .catch((error: unknown) => (this.#broken = { error }))
      .finally(() => {
        this.#underWay--;
        this.#bytesUnderWay -= bytes;
        this.#again();
      });
    return true;
  }

  async #deliver(
    { name, settings }: QueueConfig,
    consumer: WorkerConsumer,
    batch: readonly StoredMessage[],
  ): Promise<void> {
    const { messages, deliver } = this.#options;
    const { namespace, script } = consumer;
    const { count, bytes } = messages.backlog;
    const oldestMs = messages.oldest;
    const backlog = { count, bytes, ...(oldestMs !== null && { oldestMs }) };
    const event = { type: "queue", queue: name, messages: batch.map(toQueued), backlog } as const;
    const attempt = Math.max(...batch.map(({ attempts }) => attempts)) + 1;
    const result = await deliver({ namespace, script, event, attempt });
    if (this.#isEnded) return;
    this.#options.storage.transactionSync(() => {
      if (!result.ran) {
        if (result.mayHaveRun) this.#countLoss(batch, consumer);
        this.#putBack(batch, result, settings.ordered === true);
      } else if (settings.ordered) this.#applyInOrder(batch, result, consumer);
      else this.#apply(batch, result, consumer);
    });
  }

  #apply(batch: readonly StoredMessage[], result: Ran, consumer: WorkerConsumer): void {
    const { messages, deadLetters } = this.#options;
    this.#failures = 0;
    const { acked, retried, spent } = decide(batch, result, consumer);
    const now = Date.now();
    messages.remove(acked);
    for (const { seq, delayMs } of retried) messages.retry(seq, now, delayMs);
    deadLetters.add(spent, consumer.deadLetterQueue, now);
  }

  /** What failed stays where it is, and is the beginning of the next batch. */
  #applyInOrder(batch: readonly StoredMessage[], result: Ran, consumer: WorkerConsumer): void {
    const { messages, deadLetters } = this.#options;
    this.#failures = 0;
    const { acked, retried, spent } = decide(batch, result, consumer);
    const now = Date.now();
    messages.remove(acked);
    deadLetters.add(spent, consumer.deadLetterQueue, now);
    for (const { seq } of retried) messages.countAttempt(seq);
    const delays = retried.map(({ delayMs }) => delayMs);
    if (delays.length > 0) this.#heldUntil = now + Math.max(...delays);
    messages.forgetTaken();
  }

  #countLoss(batch: readonly StoredMessage[], consumer: WorkerConsumer): void {
    const { messages, deadLetters } = this.#options;
    const seqs = batch.map(({ seq }) => seq);
    messages.countLoss(seqs, FREE_LOSSES);
    const spent = batch.filter(
      ({ losses, attempts }) => losses >= FREE_LOSSES && attempts >= consumer.maxRetries,
    );
    deadLetters.add(
      spent.map(({ seq }) => seq),
      consumer.deadLetterQueue,
      Date.now(),
    );
  }

  /** Those that are gone do not matter. */
  #putBack(batch: readonly StoredMessage[], result: NotRan, isOrdered: boolean): void {
    const { messages } = this.#options;
    const now = Date.now();
    const { retryAfterSeconds = 0 } = result;
    // What was under way together and is lost together counts once.
    if (this.#heldUntil <= now) {
      const holdMs = Math.min(FIRST_HOLD_MS * 2 ** this.#failures++, MAX_HOLD_MS);
      this.#heldUntil = now + Math.max(holdMs, Math.min(retryAfterSeconds * 1_000, MAX_HOLD_MS));
    }
    if (isOrdered) return messages.forgetTaken();
    messages.putBack(
      batch.map(({ seq }) => seq),
      now,
    );
  }
}

type Ran = Extract<EventResult, { readonly ran: true }>;
type NotRan = Extract<EventResult, { readonly ran: false }>;

/** null: there is none that messages are brought to now. */
function consumerOf({ consumer, settings }: QueueConfig): WorkerConsumer | null {
  return consumer?.type === "worker" && !settings.deliveryPaused ? consumer : null;
}
