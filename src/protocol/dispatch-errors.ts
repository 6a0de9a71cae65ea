/**
 * Failures of dispatch itself, as errors that a dispatcher can tell from a function's own:
 * an error thrown by a function carries `remote: true` (set by the runtime, not forgeable), ours never do.
 */

/** The message begins as Cloudflare's does; dispatchers in the wild test for exactly that. */
export function workerNotFound(namespace: string, script: string): Error {
  return new Error(`Worker not found: no script "${script}" in dispatch namespace "${namespace}"`);
}

/** Nothing ran; the same request may be sent again. */
export class UnavailableError extends Error {
  readonly retryable = true;
  override readonly name = "UnavailableError";
}

/**
 * What became of the invocation is not known: it may have run. Not `retryable`: whether sending it again does any
 * harm only its sender can say.
 */
export class LostError extends Error {
  override readonly name = "LostError";
}

/** By its shape, as `limitOf`. */
export function isLost(error: unknown): boolean {
  return (error as Partial<Error>).name === "LostError";
}

/** An error that a function threw in another process, as it would look had it been thrown in this one. */
export function remoteError(name: string, message: string, stack: string | undefined): Error {
  const error = Object.assign(new Error(message), { remote: true });
  error.name = name;
  if (stack !== undefined) error.stack = stack;
  return error;
}

/** Why the platform refused or ended an invocation. */
export const LIMIT_REASONS = [
  "exceededCpu",
  "exceededMemory",
  "exceededWallTime",
  // Convicted before: refused until the back-off is over.
  "backOff",
  "rateLimited",
  "tooManyConcurrent",
  "loop",
  "requestTooLarge",
  "responseTooLarge",
  // What the function has stored in Durable Objects.
  "overQuota",
] as const;
export type LimitReason = (typeof LIMIT_REASONS)[number];

/** Status between our processes of what is `overQuota`. */
export const OVER_QUOTA = 507;

/**
 * A limit of the platform, not an error of the function. Messages begin as Cloudflare's do where there is one,
 * such as `Worker exceeded CPU time limit.`, which dispatchers in the wild test for.
 */
export class LimitError extends Error {
  override readonly name = "LimitError";
  readonly limit: LimitReason;
  /** Seconds after which trying again makes sense; undefined: trying again does not help. */
  readonly retryAfterSeconds: number | undefined;

  constructor(limit: LimitReason, message: string, retryAfterSeconds?: number) {
    super(message);
    this.limit = limit;
    this.retryAfterSeconds = retryAfterSeconds;
  }
}

/** By its shape, not its class: dispatcher and back end may be bundled apart. */
export function limitOf(error: unknown): LimitReason | undefined {
  const { name, limit } = error as Partial<LimitError>;
  return name === "LimitError" ? limit : undefined;
}
