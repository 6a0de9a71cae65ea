/**
 * Collects the invocations of one dispatcher isolate in memory and delivers them to the FunctionMetrics
 * objects out of the request path. The dispatcher calls `add` and `schedule` once per invocation.
 *
 * Delivery is at least once and counts once. Per function there is at most one batch on its way; it is
 * frozen, keeps its sequence until it is acknowledged, and is sent again as it is after a failure or
 * after DELIVERY_TIMEOUT_MS. Meanwhile newer records collect beside it. FunctionMetrics ignores a
 * sequence that is not above the last one of that source.
 *
 * What is not delivered when the process is killed is lost: at most one flush interval while the
 * receiver answers. While it does not, records wait, in at most `maxSlots` slots (a slot is one version
 * of a function in one minute, called for one thing). When they are used up, the minutes of each hour are merged, which keeps
 * the counts and loses the minute; if that frees nothing either, invocations that would need a new slot
 * are dropped and counted in `droppedRecords`.
 */
import type { Invocation, InvocationKind, MetricsBatch } from "../protocol/telemetry.ts";
import { Aggregate } from "./aggregate.ts";

/** What batches are delivered to: a Durable Object namespace of FunctionMetrics, or its stand-in. */
export interface MetricsSink {
  /** `name` is `<namespace>/<script>`. `record` resolves once the batch is stored. */
  getByName(name: string): { record(batch: MetricsBatch): Promise<void> };
  /** Where the process has moments of its own to deliver in: takes what it then has to call. */
  onFlush?(flush: () => Promise<void>): void;
}

export interface RecorderOptions {
  /** @default 250 */
  readonly flushIntervalMs?: number;
  /** @default 10_000, about 20 MB when all are in use */
  readonly maxSlots?: number;
}

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
/** An unanswered delivery is repeated after this: the request that carried it may have been cancelled. */
const DELIVERY_TIMEOUT_MS = 10_000;
/** A timer that did not fire within this many intervals went away with its request. */
const LOST_AFTER_INTERVALS = 20;

/** Failed deliveries are repeated for so long without a request. Cloudflare ends waitUntil after 30 s. */
const RETRY_FOR_MS = 25_000;

interface Slot {
  readonly minute: number;
  readonly versionId: string;
  readonly kind: InvocationKind;
  readonly aggregate: Aggregate;
}

interface FunctionRecords {
  readonly name: string;
  /** The slot of the latest invocation; one of `open`. */
  current: Slot | null;
  open: Slot[];
  unacknowledged: MetricsBatch | null;
  /** When `unacknowledged` was sent last; 0 if that failed. */
  sentAtMs: number;
}

export class Recorder {
  readonly #flushIntervalMs: number;
  readonly #maxSlots: number;
  /** Two levels, so that a look-up builds no key. */
  readonly #namespaces = new Map<string, Map<string, FunctionRecords>>();
  /** Made on first use: Cloudflare allows no randomness in global scope. */
  #source = "";
  /** One for all functions, so that a function may be forgotten when it is idle. */
  #sequence = 0;
  #slots = 0;
  #foldedMinute = 0;
  #armedUntilMs = 0;
  #droppedRecords = 0;

  constructor(options: RecorderOptions = {}) {
    this.#flushIntervalMs = options.flushIntervalMs ?? 250;
    this.#maxSlots = options.maxSlots ?? 10_000;
  }

  /** Invocations that were not recorded because the receiver was away for too long. */
  get droppedRecords(): number {
    return this.#droppedRecords;
  }

  /** Functions with records that are not acknowledged yet. */
  get pendingFunctions(): number {
    let pending = 0;
    for (const records of this.#functions()) if (isPending(records)) pending += 1;
    return pending;
  }

  /** Counts one invocation that has ended. Synchronous, and free of allocation for a warm function. */
  add(namespace: string, script: string, invocation: Invocation, nowMs = Date.now()): void {
    const records =
      this.#namespaces.get(namespace)?.get(script) ?? this.#remember(namespace, script);
    const slot = this.#slot(records, nowMs, invocation.versionId, invocation.kind);
    if (slot === null) this.#droppedRecords += 1;
    else slot.aggregate.add(invocation);
  }

  /** Adds bytes of bodies to the minute in which they are known, which may be after the invocation's. */
  addBytes(
    namespace: string,
    script: string,
    versionId: string,
    kind: InvocationKind,
    bytes: { readonly request: number; readonly response: number },
    nowMs = Date.now(),
  ): void {
    const records =
      this.#namespaces.get(namespace)?.get(script) ?? this.#remember(namespace, script);
    const slot = this.#slot(records, nowMs, versionId, kind);
    if (slot === null) return;
    slot.aggregate.requestBytes += bytes.request;
    slot.aggregate.responseBytes += bytes.response;
  }

  /**
   * Sees to it that what was added is flushed within one interval, after the response. At most one timer
   * is armed at a time, whatever the number of requests.
   */
  schedule(
    ctx: Pick<ExecutionContext, "waitUntil">,
    metrics: MetricsSink,
    nowMs = Date.now(),
  ): void {
    if (nowMs < this.#armedUntilMs) return;
    this.#armedUntilMs = nowMs + LOST_AFTER_INTERVALS * this.#flushIntervalMs;
    ctx.waitUntil(this.#flushLater(metrics));
  }

  /**
   * Delivers all that is pending, functions concurrently, and resolves when each delivery has been
   * answered. Never rejects: what failed stays pending and is delivered by a later flush.
   */
  async flush(metrics: MetricsSink, nowMs = Date.now()): Promise<void> {
    const deliveries: Promise<void>[] = [];
    this.#slots = 0;
    for (const scripts of this.#namespaces.values()) {
      for (const [script, records] of scripts) {
        if (records.unacknowledged === null) this.#freeze(records, nowMs);
        if (records.unacknowledged !== null && nowMs - records.sentAtMs >= DELIVERY_TIMEOUT_MS) {
          deliveries.push(deliver(records, records.unacknowledged, metrics, nowMs));
        }
        if (records.unacknowledged === null && records.open.length === 0) scripts.delete(script);
        this.#slots += records.open.length + (records.unacknowledged?.deltas.length ?? 0);
      }
    }
    await Promise.all(deliveries);
  }

  async #flushLater(metrics: MetricsSink): Promise<void> {
    const retryUntilMs = Date.now() + RETRY_FOR_MS;
    for (;;) {
      await new Promise((resolve) => setTimeout(resolve, this.#flushIntervalMs));
      // Before the flush: what is added while it runs needs the next timer.
      this.#armedUntilMs = 0;
      await this.flush(metrics);
      const nowMs = Date.now();
      const isArmedAnew = this.#armedUntilMs !== 0;
      if (isArmedAnew || !this.#hasFailed() || nowMs >= retryUntilMs) return;
      // Nothing else would repeat the delivery if no request follows.
      this.#armedUntilMs = nowMs + LOST_AFTER_INTERVALS * this.#flushIntervalMs;
    }
  }

  #hasFailed(): boolean {
    for (const { unacknowledged, sentAtMs } of this.#functions()) {
      if (unacknowledged !== null && sentAtMs === 0) return true;
    }
    return false;
  }

  /** Moves the collected records into a batch. Slots of the running minute stay, emptied, for reuse. */
  #freeze(records: FunctionRecords, nowMs: number): void {
    const full = records.open.filter(({ aggregate }) => !aggregate.isEmpty);
    if (full.length > 0) {
      this.#source ||= crypto.randomUUID();
      this.#sequence += 1;
      records.unacknowledged = {
        source: this.#source,
        sequence: this.#sequence,
        deltas: full.map(({ minute, versionId, kind, aggregate }) => ({
          minute,
          versionId,
          kind,
          ...aggregate.toData(),
        })),
      };
      records.sentAtMs = 0;
    }
    for (const { aggregate } of full) aggregate.clear();
    records.open = records.open.filter(({ minute }) => nowMs < minute + MINUTE_MS);
    if (records.current !== null && !records.open.includes(records.current)) records.current = null;
  }

  #remember(namespace: string, script: string): FunctionRecords {
    let scripts = this.#namespaces.get(namespace);
    if (scripts === undefined) this.#namespaces.set(namespace, (scripts = new Map()));
    const records: FunctionRecords = {
      name: `${namespace}/${script}`,
      current: null,
      open: [],
      unacknowledged: null,
      sentAtMs: 0,
    };
    scripts.set(script, records);
    return records;
  }

  /** `null` if there is no room. */
  #slot(
    records: FunctionRecords,
    nowMs: number,
    versionId: string,
    kind: InvocationKind,
  ): Slot | null {
    const { current } = records;
    if (
      current !== null &&
      current.versionId === versionId &&
      current.kind === kind &&
      nowMs >= current.minute &&
      nowMs < current.minute + MINUTE_MS
    ) {
      return current;
    }
    const minute = nowMs - (nowMs % MINUTE_MS);
    // A loop, not find(): two versions that share the traffic alternate here, on the hot path.
    for (const slot of records.open) {
      if (slot.minute !== minute || slot.versionId !== versionId || slot.kind !== kind) continue;
      records.current = slot;
      return slot;
    }
    if (this.#slots >= this.#maxSlots) this.#fold(minute);
    if (this.#slots >= this.#maxSlots) return null;
    const slot = { minute, versionId, kind, aggregate: new Aggregate() };
    records.open.push(slot);
    records.current = slot;
    this.#slots += 1;
    return slot;
  }

  /** Merges the open minutes of each hour. Walks all functions, hence at most once a minute. */
  #fold(minute: number): void {
    if (this.#foldedMinute === minute) return;
    this.#foldedMinute = minute;
    this.#slots = 0;
    for (const records of this.#functions()) {
      const folded = new Map<string, Slot>();
      for (const { minute, versionId, kind, aggregate } of records.open) {
        if (aggregate.isEmpty) continue;
        const hour = minute - (minute % HOUR_MS);
        const key = `${hour} ${versionId} ${kind}`;
        const slot = folded.get(key);
        if (slot === undefined) folded.set(key, { minute: hour, versionId, kind, aggregate });
        else slot.aggregate.merge(aggregate.toData());
      }
      records.open = [...folded.values()];
      records.current = null;
      this.#slots += records.open.length + (records.unacknowledged?.deltas.length ?? 0);
    }
  }

  *#functions(): Iterable<FunctionRecords> {
    for (const scripts of this.#namespaces.values()) yield* scripts.values();
  }
}

/** Sends one frozen batch. An answer that arrives after the batch was sent again is as good. */
async function deliver(
  records: FunctionRecords,
  batch: MetricsBatch,
  metrics: MetricsSink,
  nowMs: number,
): Promise<void> {
  records.sentAtMs = nowMs;
  try {
    await metrics.getByName(records.name).record(batch);
    if (records.unacknowledged === batch) records.unacknowledged = null;
  } catch {
    // The receiver is away or being replaced, or refused: in each case the batch waits for the next
    // flush, and the bound on slots keeps what piles up behind it small.
    if (records.unacknowledged === batch) records.sentAtMs = 0;
  }
}

function isPending({ unacknowledged, open }: FunctionRecords): boolean {
  return unacknowledged !== null || open.some(({ aggregate }) => !aggregate.isEmpty);
}
