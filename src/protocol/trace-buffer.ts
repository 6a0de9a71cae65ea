/**
 * Trace events on their way out of a process. Whoever adds one never waits: too many, and the oldest go. One flush is
 * under way at a time, and events that could not be delivered count as dropped.
 */
import type { TraceBatch, TraceEvent } from "./trace.ts";

const MAX_EVENTS = 5_000;
const MAX_BATCH_EVENTS = 500;
const FLUSH_MS = 50;

/** A flush ends unfinished with the context of who began it. */
const STUCK_MS = 10_000;

interface Queue {
  readonly namespace: string;
  readonly script: string;
  events: TraceEvent[];
  dropped: number;
}

export class TraceBuffer {
  readonly #send: (batches: readonly TraceBatch[]) => Promise<void>;
  /** By `<namespace>/<script>`, in the order in which they were last empty. */
  readonly #queues = new Map<string, Queue>();
  #size = 0;
  /** 0: no flush is under way. */
  #flushingSinceMs = 0;

  constructor(send: (batches: readonly TraceBatch[]) => Promise<void>) {
    this.#send = send;
  }

  /** `keepAlive` is the `waitUntil` of whoever runs now. */
  add(
    namespace: string,
    script: string,
    events: readonly TraceEvent[],
    dropped: number,
    keepAlive: (work: Promise<unknown>) => void,
  ): void {
    const key = `${namespace}/${script}`;
    let queue = this.#queues.get(key);
    if (queue === undefined) {
      this.#queues.set(key, (queue = { namespace, script, events: [], dropped: 0 }));
    }
    queue.events.push(...events);
    queue.dropped += dropped;
    this.#size += events.length;
    while (this.#size > MAX_EVENTS) this.#dropOldest();
    const nowMs = Date.now();
    if (nowMs - this.#flushingSinceMs < STUCK_MS) return;
    this.#flushingSinceMs = nowMs;
    keepAlive(this.#flush());
  }

  /** Of the function that has most, so that a loud one costs the others nothing. */
  #dropOldest(): void {
    let most: Queue | undefined;
    for (const queue of this.#queues.values()) {
      if (most === undefined || queue.events.length > most.events.length) most = queue;
    }
    if (most === undefined) return;
    const surplus = Math.max(1, this.#size - MAX_EVENTS);
    const dropped = most.events.splice(0, surplus).length;
    most.dropped += dropped;
    this.#size -= dropped;
  }

  async #flush(): Promise<void> {
    try {
      while (this.#queues.size > 0) {
        this.#flushingSinceMs = Date.now();
        await scheduler.wait(FLUSH_MS);
        const batches = this.#take();
        try {
          await this.#send(batches);
        } catch {
          this.#lost(batches);
          return;
        }
      }
    } finally {
      this.#flushingSinceMs = 0;
    }
  }

  #take(): TraceBatch[] {
    const batches: TraceBatch[] = [];
    let room = MAX_BATCH_EVENTS;
    for (const [key, queue] of this.#queues) {
      if (room <= 0) break;
      const { namespace, script, dropped } = queue;
      const events = queue.events.splice(0, room);
      queue.dropped = 0;
      if (queue.events.length === 0) this.#queues.delete(key);
      room -= events.length;
      this.#size -= events.length;
      batches.push({ namespace, script, events, dropped });
    }
    return batches;
  }

  /** The next event flushes again, and tells how many are missing. */
  #lost(batches: readonly TraceBatch[]): void {
    for (const { namespace, script, events, dropped } of batches) {
      const key = `${namespace}/${script}`;
      const queue = this.#queues.get(key) ?? { namespace, script, events: [], dropped: 0 };
      queue.dropped += events.length + dropped;
      this.#queues.set(key, queue);
    }
    while (this.#queues.size > MAX_QUEUES) {
      for (const key of this.#queues.keys()) {
        this.#size -= this.#queues.get(key)?.events.length ?? 0;
        this.#queues.delete(key);
        break;
      }
    }
  }
}

/** While nobody takes them; there may be as many functions. */
const MAX_QUEUES = 1_000;
