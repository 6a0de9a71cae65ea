/** How an R2 call fails: Cloudflare's codes and sentences. They cross RPC as data. */
import {
  R2_ERROR,
  R2_METADATA_SIZE,
  type R2ErrorBody,
  type R2ObjectInfo,
} from "../../protocol/r2.ts";

const FAILURES = {
  "internal-error": [500, 10001, "We encountered an internal error. Please try again."],
  "no-such-bucket": [404, 10006, "The specified bucket does not exist."],
  "no-such-key": [404, 10007, "The specified key does not exist."],
  "entity-too-large": [
    400,
    100100,
    "Your proposed upload exceeds the maximum allowed object size.",
  ],
  "entity-too-small": [
    400,
    10011,
    "Your proposed upload is smaller than the minimum allowed object size.",
  ],
  "metadata-too-large": [
    400,
    10012,
    "Your metadata headers exceed the maximum allowed metadata size.",
  ],
  "invalid-object-name": [400, 10020, "The specified object name is not valid."],
  "invalid-max-keys": [400, 10022, "MaxKeys params must be positive integer <= 1000."],
  "no-such-upload": [400, 10024, "The specified multipart upload does not exist."],
  "invalid-part": [400, 10025, "One or more of the specified parts could not be found."],
  "invalid-argument": [400, 10029, "Metadata missing or invalid"],
  "unknown-length": [411, 10013, "The content must come with its length."],
  "precondition-failed": [
    412,
    10031,
    "At least one of the pre-conditions you specified did not hold.",
  ],
  "bad-digest": [400, 10037, "The checksum you specified did not match what we received."],
  "invalid-range": [416, 10039, "The requested range is not satisfiable"],
  "bad-upload": [500, 10048, "There was a problem with the multipart upload."],
  "not-implemented": [501, 10004, "This is not supported by this platform."],
  "over-quota": [507, 10105, "The namespace has no room left for this."],
} as const satisfies Record<string, readonly [status: number, code: number, message: string]>;

export type FailureReason = keyof typeof FAILURES;

export interface R2Failure {
  readonly reason: FailureReason;
  /** Instead of the usual sentence. */
  readonly message?: string;
  /** What a precondition was not met by. */
  readonly object?: R2ObjectInfo;
}

export type R2Outcome<T> = { readonly value: T } | { readonly failure: R2Failure };

/** Thrown where a call has found out that it fails, and caught where the call began. */
export class R2Rejection extends Error {
  readonly failure: R2Failure;

  constructor(reason: FailureReason, more: Omit<R2Failure, "reason"> = {}) {
    super(reason);
    this.failure = { reason, ...more };
  }
}

export function outcomeOf<T>(work: () => T): R2Outcome<T> {
  try {
    return { value: work() };
  } catch (error) {
    if (error instanceof R2Rejection) return { failure: error.failure };
    throw error;
  }
}

export function valueOf<T>(outcome: R2Outcome<T>): T {
  if ("value" in outcome) return outcome.value;
  const { reason, ...more } = outcome.failure;
  throw new R2Rejection(reason, more);
}

export function failed({ reason, message, object }: R2Failure): Response {
  const [status, v4code, sentence] = FAILURES[reason];
  const error: R2ErrorBody = { version: 1, v4code, message: message ?? sentence };
  // A header's text is ASCII.
  const text = JSON.stringify(error).replace(
    /[^\x20-\x7e]/g,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
  const headers = { [R2_ERROR]: text, "content-type": "application/json" };
  if (object === undefined) return new Response(null, { status, headers });
  const body = new TextEncoder().encode(JSON.stringify(object));
  return new Response(body, {
    status,
    headers: { ...headers, [R2_METADATA_SIZE]: String(body.byteLength) },
  });
}
