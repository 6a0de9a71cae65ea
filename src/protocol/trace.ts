/**
 * What became of one invocation, in the shape that `wrangler tail` prints and that the `tail` handler of a Tail
 * Worker gets: https://developers.cloudflare.com/workers/runtime-apis/handlers/tail/
 *
 * The process in which the function runs makes an event when the last `waitUntil` work has ended; of an invocation that
 * was killed the edge does. It goes, batched, to an edge (`traces` of protocol/egress.ts, from cells), which hands it
 * to Tail Workers, and to the hub (`POST /traces`), which adds what only it knows and serves tails and logs.
 * Buffers on the way are bounded: the oldest events are dropped, and counted.
 */
import type { Outcome } from "./telemetry.ts";

export interface TraceLog {
  readonly message: unknown;
  readonly level: string;
  readonly timestamp: number;
}

export interface TraceException {
  readonly name: string;
  readonly message: string;
  readonly timestamp: number;
  readonly stack?: string;
}

export interface TraceRequest {
  readonly url: string;
  readonly method: string;
  /** Those that may hold credentials are redacted. */
  readonly headers: Readonly<Record<string, string>>;
  readonly cf?: Readonly<Record<string, unknown>>;
}

/** What was handled. */
export type TracedHandler =
  | { readonly request: TraceRequest; readonly response?: { readonly status: number } }
  | { readonly rpcMethod: string }
  | { readonly consumedEvents: readonly { readonly scriptName: string | null }[] }
  | Readonly<Record<string, unknown>>;

export interface TraceEvent {
  readonly outcome: Outcome;
  readonly scriptName: string;
  readonly scriptVersion: { readonly id: string };
  /** The hub fills them in. */
  readonly scriptTags: readonly string[];
  /** Left out for account Workers. */
  readonly dispatchNamespace?: string;
  readonly entrypoint?: string;
  readonly logs: readonly TraceLog[];
  readonly exceptions: readonly TraceException[];
  readonly diagnosticsChannelEvents: readonly unknown[];
  /** Unix time in milliseconds. */
  readonly eventTimestamp: number;
  /** Milliseconds, `waitUntil` work included. */
  readonly wallTime: number;
  /** Milliseconds, an estimate that the hub fills in; 0: none. */
  readonly cpuTime: number;
  readonly truncated: boolean;
  readonly executionModel: string;
  readonly event: TracedHandler | null;
}

/** Events of one function, oldest first. `script` is its name also where a preview was called. */
export interface TraceBatch {
  readonly namespace: string;
  readonly script: string;
  readonly events: readonly TraceEvent[];
  /** How many were dropped before them. */
  readonly dropped: number;
}

/** Body of `POST /traces`, edge -> hub, and of the `traces` call of a cell, of one function. */
export interface TraceFlush {
  readonly batches: readonly TraceBatch[];
}

/** The `tail` handler ran: what Tail Workers do is not told to Tail Workers, so that no ring of them goes round. */
export function isOfTailWorker({ event }: TraceEvent): boolean {
  return event !== null && "consumedEvents" in event;
}

/** As the runtime redacts what it hands to `tail` handlers. */
export function redactedHeaders(headers: Headers): Record<string, string> {
  return Object.fromEntries(
    Array.from(headers, ([name, value]) => [name, SENSITIVE.test(name) ? "REDACTED" : value]),
  );
}

const SENSITIVE = /^(?:cookie|set-cookie)$|auth|jwt|key|secret|session|token/;

/** Long identifiers in a URL may be credentials. */
export function redactedUrl(url: string): string {
  return url.replace(/[A-Za-z0-9+_-]{21,}/g, (word) =>
    isHexadecimal(word) || isMixed(word) ? "REDACTED" : word,
  );
}

function isHexadecimal(word: string): boolean {
  return word.length >= 32 && /^[0-9a-f-]+$/i.test(word) && /\d/.test(word);
}

/** Two of each kind at least, as in base64. */
function isMixed(word: string): boolean {
  return [/[A-Z].*[A-Z]/, /[a-z].*[a-z]/, /\d.*\d/].every((kind) => kind.test(word));
}
