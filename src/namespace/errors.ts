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

/** An error that a function threw in another process, as it would look had it been thrown in this one. */
export function remoteError(name: string, message: string, stack: string | undefined): Error {
  const error = Object.assign(new Error(message), { remote: true });
  error.name = name;
  if (stack !== undefined) error.stack = stack;
  return error;
}
