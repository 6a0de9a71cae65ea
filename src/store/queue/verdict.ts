/** What becomes of the messages of a batch, by what the handler decided and how it ended. Pure. */
import type { EventResult } from "../../protocol/events.ts";
import { MAX_DELAY_SECONDS, type WorkerConsumer } from "../../protocol/queue.ts";

type Ran = Extract<EventResult, { readonly ran: true }>;

interface Delivered {
  readonly seq: number;
  readonly id: string;
  /** Those that failed before. */
  readonly attempts: number;
}

export interface Fates {
  readonly acked: readonly number[];
  readonly retried: readonly { readonly seq: number; readonly delayMs: number }[];
  /** Tried as often as it may be. */
  readonly spent: readonly number[];
}

/** Of a handler that threw, where nothing else says how long to wait: 1 s, 2 s, 4 s ... */
const FIRST_BACKOFF_MS = 1_000;
const MAX_BACKOFF_MS = 60_000;

/**
 * What was said of a single message holds for it, whatever was said of the batch and however the handler ended. Without a
 * word, a batch is acknowledged if the handler ended well.
 */
export function decide(
  messages: readonly Delivered[],
  { outcome, queue }: Pick<Ran, "outcome" | "queue">,
  consumer: Pick<WorkerConsumer, "maxRetries" | "retryDelaySeconds">,
): Fates {
  const acked: number[] = [];
  const retried: { seq: number; delayMs: number }[] = [];
  const spent: number[] = [];
  const isFailed = outcome !== "ok";
  const ackedIds = new Set(queue?.explicitAcks);
  const retriedIds = new Map(
    queue?.retryMessages.map(({ msgId, delaySeconds }) => [msgId, delaySeconds]),
  );
  const retriesRest = queue?.retryBatch.retry === true || (isFailed && queue?.ackAll !== true);
  for (const { seq, id, attempts } of messages) {
    const isRetried = !ackedIds.has(id) && (retriedIds.has(id) || retriesRest);
    if (!isRetried) acked.push(seq);
    else if (attempts >= consumer.maxRetries) spent.push(seq);
    else {
      const seconds =
        retriedIds.get(id) ?? queue?.retryBatch.delaySeconds ?? consumer.retryDelaySeconds;
      const isSilent = isFailed && !retriedIds.has(id) && queue?.retryBatch.retry !== true;
      retried.push({
        seq,
        delayMs: seconds == null ? backoffMs(isSilent, attempts) : toMs(seconds),
      });
    }
  }
  return { acked, retried, spent };
}

function backoffMs(isSilent: boolean, attempts: number): number {
  return isSilent ? Math.min(FIRST_BACKOFF_MS * 2 ** attempts, MAX_BACKOFF_MS) : 0;
}

/** A handler may have said anything. */
function toMs(seconds: number): number {
  return Math.min(Math.max(seconds, 0), MAX_DELAY_SECONDS) * 1_000;
}
