/**
 * Brings the changes of one resource into the queues that are to get them, each queue in order and at its own pace. A
 * resource tells it that there are some (`nudge`); should that be lost with a process, the alarm looks. Changes have
 * numbers, and a queue takes each number once, so one that is brought again after a kill is there once.
 *
 *   followers  how far each queue has got. `epoch` counts how often its position was set: to the queue each is another source
 */
import { DurableObject } from "cloudflare:workers";
import {
  KEPT_CHANGES,
  type FollowerState,
  type Notification,
  type WrittenChange,
} from "../../protocol/changes.ts";
import { MAX_BATCH_MESSAGES, type NewMessage } from "../../protocol/queue.ts";
import type { StoreConfig } from "../../protocol/store.ts";
import type { StoreEnv } from "../env.ts";
import { enqueue } from "../queue/enqueue.ts";
import { notificationsOf } from "./outbox.ts";
import { sourceOf } from "./source.ts";

/** For nudges that a killed process never sent. */
const LOOK_AGAIN_MS = 30_000;
/** Of databases, which cannot nudge: growing while nothing changes. */
const FIRST_POLL_MS = 250;
const LAST_POLL_MS = 5_000;
/** After so many batches for each queue, what all have got is trimmed, and those that refused are tried again. */
const MAX_ROUNDS = 50;
/** After a queue refused. */
const RETRY_MS = 1_000;

interface Row extends Record<string, SqlStorageValue> {
  queue: string;
  epoch: number;
  position: number;
}

export class ChangeFollower extends DurableObject<StoreEnv> {
  readonly #sql = this.ctx.storage.sql;
  #config: StoreConfig | undefined = this.ctx.storage.kv.get("config");
  #isAsked = false;
  #running: Promise<void> | undefined;
  /** The one that is being brought, or was last. Never rejects. */
  #batch: Promise<unknown> | undefined;
  /** Positions that are being set: no batch begins meanwhile. */
  #moves = 0;
  #pollMs = FIRST_POLL_MS;

  constructor(ctx: DurableObjectState, env: StoreEnv) {
    super(ctx, env);
    this.#sql.exec(
      `CREATE TABLE IF NOT EXISTS followers (
         queue TEXT PRIMARY KEY, epoch INTEGER NOT NULL, position INTEGER NOT NULL
       ) STRICT`,
    );
  }

  /** Idempotent. null: the resource is gone. */
  async configure(config: StoreConfig | null): Promise<void> {
    if (config === null) {
      this.#config = undefined;
      await this.ctx.storage.deleteAlarm();
      await this.ctx.storage.deleteAll();
      this.#sql.exec(
        `CREATE TABLE IF NOT EXISTS followers (
           queue TEXT PRIMARY KEY, epoch INTEGER NOT NULL, position INTEGER NOT NULL
         ) STRICT`,
      );
      return;
    }
    this.#config = config;
    this.ctx.storage.kv.put("config", config);
    const queues = notificationsOf(config).map(({ queueId }) => queueId);
    const isNew = queues.some((queue) => this.#row(queue) === undefined);
    const last = isNew ? await sourceOf(this.env, config).last() : 0;
    this.ctx.storage.transactionSync(() => {
      for (const queue of queues) {
        this.#sql.exec(`INSERT OR IGNORE INTO followers VALUES (?, 0, ?)`, queue, last);
      }
      this.#sql.exec(
        `DELETE FROM followers WHERE queue NOT IN (SELECT value FROM json_each(?))`,
        JSON.stringify(queues),
      );
    });
    await this.ctx.storage.setAlarm(Date.now());
  }

  /** There are changes. Resolves at once. */
  nudge(): void {
    this.ctx.waitUntil(this.#run());
  }

  async state(queueId: string): Promise<FollowerState | null> {
    const row = this.#row(queueId);
    if (row === undefined) return null;
    const { backlogCount } = await this.env.QUEUES.getByName(queueId).metrics();
    return { position: row.position, waiting: backlogCount };
  }

  /** Returns whether it is a follower of this resource. */
  async move(queueId: string, position: number): Promise<boolean> {
    if (this.#row(queueId) === undefined) return false;
    this.#moves++;
    try {
      // What is being brought now would come after what is thrown away.
      await this.#batch;
      await this.env.QUEUES.getByName(queueId).purge();
      this.#sql.exec(
        `UPDATE followers SET position = ?, epoch = epoch + 1 WHERE queue = ?`,
        position,
        queueId,
      );
    } finally {
      this.#moves--;
      this.nudge();
    }
    return true;
  }

  override async alarm(): Promise<void> {
    const config = this.#config;
    if (config === undefined || this.#rows().length === 0) return;
    // Set before the work: a process that is killed in it looks again.
    await this.ctx.storage.setAlarm(Date.now() + LOOK_AGAIN_MS);
    await this.#run();
  }

  /** One at a time; whoever asks meanwhile has it look once more. */
  #run(): Promise<void> {
    this.#isAsked = true;
    this.#running ??= this.#bringAll().finally(() => (this.#running = undefined));
    return this.#running;
  }

  async #bringAll(): Promise<void> {
    while (this.#isAsked) {
      this.#isAsked = false;
      const config = this.#config;
      if (config === undefined) return;
      const { isComplete, brought } = await this.#bringInTurns(config);
      const isTrimmed = await this.#trim(config).then(
        () => true,
        // The next time will do: what stays is only surplus.
        () => false,
      );
      await this.#plan(config, isComplete && isTrimmed, brought);
    }
  }

  /**
   * A batch for each queue, again and again while there are changes: no queue waits for one that is far behind, and after
   * some rounds all begin anew, those that have refused, too. Returns how many changes there were.
   */
  async #bringInTurns(config: StoreConfig): Promise<{ isComplete: boolean; brought: number }> {
    const behind = new Set(notificationsOf(config));
    let isComplete = true;
    let brought = 0;
    for (let round = 0; round < MAX_ROUNDS && behind.size > 0; round++) {
      for (const notification of behind) {
        // It has it look once more.
        if (this.#moves > 0) return { isComplete, brought };
        try {
          const batch = this.#bring(config, notification);
          this.#batch = batch.catch(() => {});
          const count = await batch;
          if (count === 0) behind.delete(notification);
          brought += count;
        } catch (error) {
          isComplete = false;
          behind.delete(notification);
          console.error(`changes of ${config.kind} ${config.id} wait: ${String(error)}`);
        }
      }
    }
    if (behind.size > 0) this.#isAsked = true;
    return { isComplete, brought };
  }

  /** One batch. Returns how many changes there were. */
  async #bring(config: StoreConfig, { queueId, isFeed }: Notification): Promise<number> {
    const row = this.#row(queueId);
    if (row === undefined) return 0;
    const changes = await sourceOf(this.env, config).changes(row.position, MAX_BATCH_MESSAGES);
    const last = changes.at(-1);
    if (last === undefined) return 0;
    const own = changes.filter(({ queues }) => queues.includes(queueId));
    if (own.length > 0) {
      const name = `${config.kind}/${config.id}/${row.epoch}`;
      const messages = own.map((change) => toMessage(change, isFeed === true));
      await enqueue(this.env, queueId, messages, name);
    }
    // Not if its position was set meanwhile.
    this.#sql.exec(
      `UPDATE followers SET position = ? WHERE queue = ? AND epoch = ?`,
      last.seq,
      queueId,
      row.epoch,
    );
    return changes.length;
  }

  async #trim(config: StoreConfig): Promise<void> {
    const slowest = Math.min(...this.#rows().map(({ position }) => position));
    const upTo = slowest - KEPT_CHANGES;
    if (!Number.isFinite(upTo) || upTo <= 0) return;
    await sourceOf(this.env, config).trim(upTo);
  }

  async #plan({ kind }: StoreConfig, isComplete: boolean, brought: number): Promise<void> {
    this.#pollMs = brought > 0 ? FIRST_POLL_MS : Math.min(2 * this.#pollMs, LAST_POLL_MS);
    const waitMs = !isComplete ? RETRY_MS : kind === "d1" ? this.#pollMs : LOOK_AGAIN_MS;
    await this.ctx.storage.setAlarm(Date.now() + waitMs);
  }

  #rows(): Row[] {
    return this.#sql.exec<Row>(`SELECT * FROM followers`).toArray();
  }

  #row(queue: string): Row | undefined {
    return this.#sql.exec<Row>(`SELECT * FROM followers WHERE queue = ?`, queue).toArray()[0];
  }
}

function toMessage({ seq, message }: WrittenChange, isFeed: boolean): NewMessage {
  const body = JSON.stringify(isFeed ? { ...message, position: seq } : message);
  return { contentType: "json", body, sequence: seq };
}
