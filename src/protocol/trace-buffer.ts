/**
 * Trace events on their way out of a process. Whoever adds one never waits: too many, and the oldest go. One flush is
 * under way at a time, and events that could not be delivered count as dropped.
 */
import type { TraceBatch, TraceEvent } from "./trace.ts";

/** What an event counts for: characters of JSON. One may have a quarter of a million, mostly what the function logs. */
const MIN_EVENT_SIZE = 6_500;
const MAX_SIZE = 5_000 * MIN_EVENT_SIZE;
const MAX_BATCH_SIZE = 500 * MIN_EVENT_SIZE;
const FLUSH_MS = 50;

/** A flush ends unfinished with the context of who began it. */
const STUCK_MS = 10_000;

interface Queue {
  readonly namespace: string;
  readonly script: string;
  events: { readonly event: TraceEvent; readonly size: number }[];
  /** Of its events. */
  size: number;
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
      this.#queues.set(key, (queue = { namespace, script, events: [], size: 0, dropped: 0 }));
    }
    queue.dropped += dropped;
    for (const event of events) {
      const size = Math.max(MIN_EVENT_SIZE, JSON.stringify(event).length);
      queue.events.push({ event, size });
      queue.size += size;
      this.#size += size;
      while (this.#size > MAX_SIZE) this.#dropOldest();
    }
    const nowMs = Date.now();
    if (nowMs - this.#flushingSinceMs < STUCK_MS) return;
    this.#flushingSinceMs = nowMs;
    keepAlive(this.#flush());
  }

  /** Of the function that has most, so that a loud one costs the others nothing. */
  #dropOldest(): void {
    let most: Queue | undefined;
    for (const queue of this.#queues.values()) {
      if (most === undefined || queue.size > most.size) most = queue;
    }
    if (most !== undefined) most.dropped += this.#remove(most, 1).length;
  }

  /** The first ones of a queue, up to so many. */
  #remove(queue: Queue, count: number): TraceEvent[] {
    const removed = queue.events.splice(0, count);
    const size = removed.reduce((sum, held) => sum + held.size, 0);
    queue.size -= size;
    this.#size -= size;
    return removed.map(({ event }) => event);
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
    let size = 0;
    for (const [key, queue] of this.#queues) {
      if (size >= MAX_BATCH_SIZE) break;
      const { namespace, script, dropped } = queue;
      let count = 0;
      for (const held of queue.events) {
        if (size >= MAX_BATCH_SIZE) break;
        size += held.size;
        count++;
      }
      const events = this.#remove(queue, count);
      queue.dropped = 0;
      if (queue.events.length === 0) this.#queues.delete(key);
      batches.push({ namespace, script, events, dropped });
    }
    return batches;
  }

  /** The next event flushes again, and tells how many are missing. */
  #lost(batches: readonly TraceBatch[]): void {
    for (const { namespace, script, events, dropped } of batches) {
      const key = `${namespace}/${script}`;
      const empty: Queue = { namespace, script, events: [], size: 0, dropped: 0 };
      const queue = this.#queues.get(key) ?? empty;
      queue.dropped += events.length + dropped;
      this.#queues.set(key, queue);
    }
    while (this.#queues.size > MAX_QUEUES) {
      for (const key of this.#queues.keys()) {
        const queue = this.#queues.get(key);
        if (queue !== undefined) this.#remove(queue, queue.events.length);
        this.#queues.delete(key);
        break;
      }
    }
  }
}

/** While nobody takes them; there may be as many functions. */
const MAX_QUEUES = 1_000;
