/**
 * One queue, named by its id: the messages, and what brings them to the consumer. Everything that happens by itself happens in
 * the alarm, which is set in the transaction of whatever asks for it: a store that was killed goes on when it is back.
 */
import { DurableObject } from "cloudflare:workers";
import { DEFAULT_QUEUE_SETTINGS, type NewMessage, type QueueConfig } from "../../protocol/queue.ts";
import { deliverEvent } from "../deliver-event.ts";
import { drain } from "../drain.ts";
import type { StoreEnv } from "../env.ts";
import {
  QuotaError,
  QuotaLease,
  type QuotaHolder,
  type Released,
  type Reservation,
} from "../quota.ts";
import { DeadLetters } from "./dead-letters.ts";
import { Deliveries } from "./deliveries.ts";
import { Messages, sizeOf } from "./messages.ts";
import { acknowledge, peek, pull, type Acknowledgement, type PullOptions } from "./pull.ts";
import { readBatch, readMessage, Refused, type Sent } from "./wire.ts";

/** Looked at together for retention, in one go. */
const MAX_EXPIRED = 500;
/** Of what happens by itself, so that a stopped clock or a lost alarm ends some time. */
const LONGEST_SLEEP_MS = 3_600_000;
/** The runtime ends an alarm after 15 minutes, and the object with all deliveries under way: the next alarm takes over before. */
const LONGEST_ALARM_MS = 10 * 60_000;
/** After something could not be stored. */
const RECOVERY_MS = 5_000;

interface Metrics {
  readonly backlogCount: number;
  readonly backlogBytes: number;
  /** 0: there is no message. */
  readonly oldestMessageTimestamp: number;
}

interface Parts {
  readonly messages: Messages;
  readonly deadLetters: DeadLetters;
  readonly deliveries: Deliveries;
}

export class QueueObject extends DurableObject<StoreEnv> implements QuotaHolder {
  readonly #quota = new QuotaLease(this.ctx, this.env, { binding: "QUEUES", kind: "queue" }, () => {
    const { count = 0, bytes = 0 } = this.#parts?.messages.backlog ?? {};
    return { bytes, queue_messages: count };
  });
  /** null: there is no such queue. */
  #config: QueueConfig | null = null;
  #parts: Parts | null = null;
  /** Over many alarms, if need be. */
  #running: Promise<void> | null = null;
  #alarmAt: number | null = null;

  constructor(ctx: DurableObjectState, env: StoreEnv) {
    super(ctx, env);
    const isThere =
      ctx.storage.sql.exec(`SELECT 1 FROM sqlite_master WHERE name = 'config'`).toArray().length >
      0;
    if (!isThere) return;
    this.#parts = this.#open();
    this.#config = JSON.parse(
      ctx.storage.sql.exec<{ value: string }>(`SELECT value FROM config`).one().value,
    ) as QueueConfig;
    this.#plan();
  }

  #open(): Parts {
    const { storage } = this.ctx;
    const messages = new Messages(storage.sql);
    const deadLetters = new DeadLetters(this.env, messages);
    const deliveries = new Deliveries({
      storage,
      messages,
      deadLetters,
      deliver: (delivery) => deliverEvent(this.env, delivery),
    });
    return { messages, deadLetters, deliveries };
  }

  /** null: it is deleted, with all messages. Idempotent. */
  async configure(asked: QueueConfig | null): Promise<void> {
    const before = this.#config;
    if (asked === null) {
      this.#config = null;
      this.#parts?.deliveries.end();
      this.#parts = null;
      this.#alarmAt = null;
      await this.#quota.drop();
      await this.ctx.storage.deleteAlarm();
      await this.ctx.storage.deleteAll();
      return;
    }
    this.#parts ??= this.#open();
    this.#quota.configure(asked);
    const settings = { ...DEFAULT_QUEUE_SETTINGS, ...asked.settings };
    const config = { ...asked, settings, consumer: asked.consumer ?? null };
    this.ctx.storage.sql.exec(
      `INSERT OR REPLACE INTO config (only, value) VALUES (1, ?)`,
      JSON.stringify(config),
    );
    this.#config = config;
    if (JSON.stringify(before) !== JSON.stringify(config)) this.#parts.deliveries.forgive();
    this.#plan();
  }

  /** The producer's protocol (wire.ts). */
  override async fetch(request: Request): Promise<Response> {
    const { method } = request;
    const { pathname } = new URL(request.url);
    try {
      this.#require();
      if (method === "POST" && pathname === "/message")
        return await this.#send(await readMessage(request));
      if (method === "POST" && pathname === "/batch")
        return await this.#send(await readBatch(request));
      if (method === "GET" && pathname === "/metrics") return Response.json(this.metrics());
      await request.body?.cancel();
      return new Response(null, { status: 404 });
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
      await drain(request.body);
      return error.toResponse();
    }
  }

  async #send({ messages, delaySeconds }: Sent): Promise<Response> {
    await this.#add(messages, delaySeconds);
    return Response.json({ metadata: { metrics: this.metrics() } });
  }

  /** For other parts of the store (enqueue.ts). Returns why they were not taken; null: they were. */
  async enqueue(messages: readonly NewMessage[], source?: string): Promise<string | null> {
    try {
      await this.#add(messages, undefined, source);
      return null;
    } catch (error) {
      if (error instanceof Refused) return error.message;
      throw error;
    }
  }

  async #add(
    messages: readonly NewMessage[],
    delaySeconds: number | undefined,
    source?: string,
  ): Promise<void> {
    this.#require();
    const room = await this.#reserve(messages);
    try {
      const { parts, config } = this.#require();
      const { ordered, deliveryDelaySeconds } = config.settings;
      const delayMs = ordered ? null : (delaySeconds ?? deliveryDelaySeconds) * 1_000;
      this.ctx.storage.transactionSync(() => {
        parts.messages.add(messages, delayMs, Date.now(), source);
      });
      parts.deliveries.notice();
      this.#plan();
    } finally {
      room.free();
    }
  }

  async #reserve(messages: readonly NewMessage[]): Promise<Reservation> {
    const bytes = messages.reduce((sum, { body }) => sum + sizeOf(body), 0);
    try {
      return await this.#quota.reserve({ bytes, queue_messages: messages.length });
    } catch (error) {
      if (error instanceof QuotaError) throw new Refused("storage", error.message);
      throw error;
    }
  }

  /** For the book of quotas. */
  releaseQuota(epoch: number): Released {
    return this.#quota.release(epoch);
  }

  metrics(): Metrics {
    const { messages } = this.#require().parts;
    const { count, bytes } = messages.backlog;
    return {
      backlogCount: count,
      backlogBytes: bytes,
      oldestMessageTimestamp: messages.oldest ?? 0,
    };
  }

  // What the API asks

  pull(options: PullOptions): ReturnType<typeof pull> {
    const { parts, config } = this.#require();
    const pulled = this.ctx.storage.transactionSync(() => pull(parts, config, options, Date.now()));
    this.#plan();
    return pulled;
  }

  acknowledge(asked: Acknowledgement): ReturnType<typeof acknowledge> {
    const { parts, config } = this.#require();
    const done = this.ctx.storage.transactionSync(() =>
      acknowledge(parts, config, asked, Date.now()),
    );
    this.#plan();
    return done;
  }

  peek(limit: number): ReturnType<typeof peek> {
    return peek(this.#require().parts.messages, limit, Date.now());
  }

  /** Those that are gone already do not matter. */
  remove(seqs: readonly number[]): void {
    this.#require().parts.messages.remove(seqs);
  }

  purge(): void {
    this.#require().parts.messages.purge();
  }

  #require(): { readonly parts: Parts; readonly config: QueueConfig } {
    if (this.#parts === null || this.#config === null) {
      throw new Refused("notFound", "this queue does not exist");
    }
    return { parts: this.#parts, config: this.#config };
  }

  // What happens by itself

  override async alarm(): Promise<void> {
    this.#alarmAt = null;
    if (this.#parts === null) return;
    const running = (this.#running ??= this.#run(this.#parts));
    const timer = new AbortController();
    const isOver = await Promise.race([
      running.then(() => true),
      scheduler.wait(LONGEST_ALARM_MS, { signal: timer.signal }).then(
        () => false,
        () => true,
      ),
    ]);
    timer.abort();
    if (isOver) return;
    this.ctx.waitUntil(running);
    await this.ctx.storage.setAlarm(Date.now());
  }

  async #run(parts: Parts): Promise<void> {
    try {
      await parts.deliveries.run(() => {
        if (this.#parts !== parts || this.#config === null) return null;
        this.#expire(parts);
        this.ctx.waitUntil(this.#sendDead(parts, this.#config));
        return this.#config;
      });
      if (this.#parts === parts && this.#config) await this.#sendDead(parts, this.#config);
    } catch (error) {
      // Nobody knows any more what is under way: a new life finds all of it in the tables. Its alarm goes with the life that ends.
      try {
        await this.ctx.storage.setAlarm(Date.now() + RECOVERY_MS);
        await this.ctx.storage.sync();
      } finally {
        this.ctx.abort(String(error));
      }
    } finally {
      this.#running = null;
      this.#plan();
    }
  }

  #sendDead({ deadLetters }: Parts, { id, consumer }: QueueConfig): Promise<void> {
    return deadLetters.send(id, consumer?.deadLetterQueue ?? null);
  }

  /** What has been kept for too long goes to the dead letter queue, or is dropped. */
  #expire({ messages, deadLetters }: Parts): void {
    if (this.#config === null) return;
    const { settings, consumer, id } = this.#config;
    const now = Date.now();
    const before = now - settings.retentionSeconds * 1_000;
    if ((messages.oldest ?? now) >= before) return;
    const target = consumer?.deadLetterQueue ?? null;
    this.ctx.storage.transactionSync(() => {
      const dead = messages.deadBefore(before);
      const dropped = dead === null ? 0 : messages.removeDead(dead);
      const expired = messages.storedBefore(before, MAX_EXPIRED);
      deadLetters.add(expired, target, now);
      if (dropped + expired.length > 0) {
        const where = target === null ? "were dropped" : "go to the dead letter queue";
        console.warn(
          `queue ${id}: ${expired.length} messages were kept for too long and ${where}; ${dropped} dead letters were dropped`,
        );
      }
    });
  }

  /** Sets the alarm for what comes next, synchronously, so that it is committed with what asks for it. */
  #plan(): void {
    if (this.#running !== null || this.#parts === null || this.#config === null) return;
    const { messages, deliveries, deadLetters } = this.#parts;
    const now = Date.now();
    const { retentionSeconds } = this.#config.settings;
    const { oldest } = messages;
    if (oldest === null) return;
    const times = [
      now + LONGEST_SLEEP_MS,
      oldest + retentionSeconds * 1_000 + 1,
      deliveries.wakeAt(this.#config, now),
      deadLetters.wakeAt(),
    ].filter((time) => time !== null);
    const wanted = Math.max(Math.min(...times), now);
    if (this.#alarmAt !== null && this.#alarmAt <= wanted) return;
    this.#alarmAt = wanted;
    void this.ctx.storage.setAlarm(wanted);
  }
}
