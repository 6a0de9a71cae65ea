/**
 * Asynchronous invocations of a function: a request that is stored, given to its `fetch` handler, and tried again until that
 * answers or it is too old. What the hub and the store say to each other about them; in the API the names are in snake case.
 */

export interface InvocationSettings {
  /** Calls of the handler, the first one included. */
  readonly maxAttempts: number;
  /** Before the second try; doubles with each further one, up to MAX_RETRY_DELAY_SECONDS. */
  readonly retryDelaySeconds: number;
  /** From when it was stored on; it is not begun any more when it is older. */
  readonly maxAgeSeconds: number;
  readonly onSuccess: Destination | null;
  readonly onFailure: Destination | null;
}

/** Who is told how an invocation ended. */
export type Destination =
  | { readonly type: "queue"; readonly id: string; readonly name: string }
  /** Another function of the same namespace. */
  | { readonly type: "function"; readonly script: string }
  | { readonly type: "url"; readonly url: string };

export const DEFAULT_INVOCATION_SETTINGS: InvocationSettings = {
  maxAttempts: 3,
  retryDelaySeconds: 60,
  maxAgeSeconds: 6 * 60 * 60,
  onSuccess: null,
  onFailure: null,
};

export const MAX_RETRY_DELAY_SECONDS = 900;

/** As large as a payload may be. */
export const MAX_PAYLOAD_BYTES = 256 * 1024;

export const INVOCATION_TYPES = ["RequestResponse", "Event"] as const;
export type InvocationType = (typeof INVOCATION_TYPES)[number];

/** Hub -> store: `POST /script/{id}/invocations`. The answer is an InvocationRecord. */
export interface NewInvocation {
  readonly type: InvocationType;
  /** null: none. The same one again is no new invocation, for as long as the first is remembered. */
  readonly idempotencyKey: string | null;
  readonly contentType: string | null;
  readonly payload: PayloadSource;
}

export type PayloadSource =
  /** Base64. */
  { readonly bytes: string } | { readonly r2: ObjectReference };

/** An object of an R2 bucket, read when the function is called. */
export interface ObjectReference {
  readonly id: string;
  readonly bucket: string;
  readonly key: string;
}

export const INVOCATION_STATES = [
  // Stored, and not tried yet, or to be tried again.
  "waiting",
  "running",
  "succeeded",
  "failed",
] as const;
export type InvocationState = (typeof INVOCATION_STATES)[number];

export interface InvocationRecord {
  readonly id: string;
  readonly type: InvocationType;
  readonly state: InvocationState;
  readonly idempotencyKey: string | null;
  readonly createdMs: number;
  readonly endedMs: number | null;
  readonly payloadBytes: number | null;
  /** Calls of the handler. */
  readonly attempts: number;
  /** When it is tried next; null: not again, or it runs. */
  readonly nextMs: number | null;
  /** Of the last try, as in trace events; null: none ended yet. */
  readonly outcome: string | null;
  /** Why the last try failed, or why it was not tried. */
  readonly error: string | null;
  readonly destination: DestinationRecord | null;
}

export interface DestinationRecord {
  readonly to: Destination;
  readonly state: "waiting" | "delivered" | "given-up";
  readonly attempts: number;
  readonly error: string | null;
}

/** With what the function answered, in one that is asked for by its id. */
export interface InvocationDetail extends InvocationRecord {
  readonly response: {
    readonly status: number;
    readonly headers: readonly (readonly [string, string])[];
    /** Base64. */
    readonly body: string;
    readonly isTruncated: boolean;
  } | null;
}
