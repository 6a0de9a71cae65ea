/** Expected outcomes as plain data, so that they cross RPC unchanged. Bugs are thrown instead. */
export type Result<T, F> =
  | { readonly ok: true; readonly value: T }
  | { readonly ok: false; readonly failure: F };

export function success(): Result<null, never>;
export function success<T>(value: T): Result<T, never>;
export function success(value: unknown = null): Result<unknown, never> {
  return { ok: true, value };
}

export function failure<F>(failure: F): Result<never, F> {
  return { ok: false, failure };
}
