/**
 * How a request to another of our processes failed, told by the runtime's words: a process that died with it is
 * `Network connection lost`; one whose socket is not there is an `internal error` without properties. What a
 * function threw has `remote: true`, and is neither.
 */

type RuntimeError = Error & { readonly remote?: boolean };

/** The process cannot have seen the request. */
export function neverConnected(error: unknown): boolean {
  const { message = "", remote } = error as RuntimeError;
  return remote !== true && /internal error/i.test(message);
}

/** The process may have run the request, in part or whole. */
export function connectionLost(error: unknown): boolean {
  const { message = "", remote } = error as RuntimeError;
  return remote !== true && /network connection lost/i.test(message);
}
