/**
 * Events: what wakes a function beside requests. The store delivers them to an edge, over the link
 * `peers/events-N.sock`, as `POST /` with an EventDelivery; the answer is an EventResult. The edge gives it to the
 * function by the same way as any invocation: limits, metrics, traces, hop count. `POST /callout` with a Callout makes
 * the edge post to a URL for a function; the answer is a CalloutResult.
 */

export interface EventDelivery {
  /** By name. */
  readonly namespace: string;
  readonly script: string;
  readonly event: FunctionEvent;
  /** 1 for the first try. */
  readonly attempt: number;
}

export type FunctionEvent =
  | { readonly type: "scheduled"; readonly cron: string; readonly scheduledTimeMs: number }
  | {
      readonly type: "queue";
      /** Name of the queue. */
      readonly queue: string;
      readonly messages: readonly QueuedMessage[];
      /** What the function finds as `batch.metadata.metrics`. */
      readonly backlog?: {
        readonly count: number;
        readonly bytes: number;
        readonly oldestMs?: number;
      };
    }
  /** A request to the `fetch` handler, which nobody waits for. */
  | { readonly type: "invocation"; readonly request: InvocationRequest };

/** What a handler other than that of a client's request is called for. */
export type EventType = "tail" | FunctionEvent["type"];

/**
 * Until the handler is done: as long as Cloudflare lets cron triggers and queue consumers go on. Of tails it is the
 * function's own limit.
 */
export const EVENT_WALL_MS = 15 * 60_000;

/** As the producer said: `v8` is what the runtime serialized, or structured.ts text with `structured`. */
export type MessageContentType = "text" | "bytes" | "json" | "v8" | "structured";

export interface QueuedMessage {
  readonly id: string;
  readonly timestampMs: number;
  readonly attempts: number;
  readonly contentType: MessageContentType;
  /** Base64 for `bytes` and `v8`; else the text. */
  readonly body: string;
}

export interface InvocationRequest {
  readonly id: string;
  readonly method: string;
  readonly url: string;
  readonly headers: readonly (readonly [string, string])[];
  /** Base64; null: none. */
  readonly body: string | null;
}

export type EventResult =
  | {
      /** The handler was called; `outcome` says how it ended, as in Cloudflare's trace events. */
      readonly ran: true;
      readonly outcome: string;
      /** Of what it threw, where that is known: the runtime does not tell it of `scheduled` and `queue`. */
      readonly error?: string;
      /** The function called `controller.noRetry()`. */
      readonly noRetry?: boolean;
      readonly queue?: QueueVerdict;
      readonly response?: {
        readonly status: number;
        readonly headers: readonly (readonly [string, string])[];
        /** Base64. */
        readonly body: string;
        readonly isTruncated: boolean;
      };
    }
  /** The handler was not called, or nobody knows whether it ended: no fault of the function. */
  | {
      readonly ran: false;
      /** `missing`: no such script, or it has no such handler. */
      readonly reason: "missing" | "no-handler" | "limited" | "unavailable";
      readonly message: string;
      readonly retryAfterSeconds?: number;
      /**
       * It was lost with its process: the handler may have run, in part or whole. Counts as a try; of queued messages, which
       * others may have been lost with, after some losses in a row.
       */
      readonly mayHaveRun?: true;
    };

/** What the isolate's side says of a `scheduled` or `queue` handler that ended. */
export interface HandlerEnd {
  readonly outcome: string;
  /** False: the version exports no such handler. */
  readonly isHandled: boolean;
  readonly noRetry?: boolean;
  readonly queue?: QueueVerdict;
}

/** What the `queue` handler decided. */
export interface QueueVerdict {
  readonly ackAll: boolean;
  readonly retryBatch: { readonly retry: boolean; readonly delaySeconds?: number };
  readonly explicitAcks: readonly string[];
  readonly retryMessages: readonly { readonly msgId: string; readonly delaySeconds?: number }[];
}

/** `text`, JSON, goes to `url` as if the function had fetched it. */
export interface Callout {
  readonly namespace: string;
  readonly script: string;
  readonly url: string;
  readonly text: string;
}

export type CalloutResult = { readonly status: number } | { readonly failed: string };
