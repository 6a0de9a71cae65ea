/**
 * RPC between functions. Caller and callee may be in different processes, so on the way between them a call is a
 * request whose body holds the arguments, and its result a response (protocol/structured.ts). At both ends it is the
 * runtime's own RPC: what can be called is what the runtime lets be called.
 */
import { errorOf, decodeStructured, encodeStructured } from "../protocol/structured.ts";
import { remoteError } from "../protocol/dispatch-errors.ts";

/** What stubs have of their own, and what the runtime calls handlers by. */
const RESERVED: ReadonlySet<string> = new Set([
  ...Object.getOwnPropertyNames(Object.prototype),
  "fetch",
  "connect",
  "dup",
  "then",
  "scheduled",
  "queue",
  "alarm",
  "email",
  "tail",
  "tailStream",
  "trace",
  "test",
  "webSocketMessage",
  "webSocketClose",
  "webSocketError",
]);

export function isReserved(method: string): boolean {
  return RESERVED.has(method);
}

/** The request that stands for a call. Throws a TypeError for arguments that cannot be sent. */
export function toRequest(method: string, args: readonly unknown[]): Request {
  const body = encodeStructured(args, `an argument of ${method}()`);
  return new Request("http://rpc.invalid/", { method: "POST", body });
}

/** What the callee returned. */
export async function toResult(response: Response): Promise<unknown> {
  return decodeStructured(await response.text());
}

type Method = (...args: readonly unknown[]) => Promise<unknown>;

/** Calls a method of an isolate's entrypoint; rejects as its `fetch` would. */
export async function callMethod(
  target: Fetcher,
  method: string,
  request: Request,
): Promise<Response> {
  if (isReserved(method)) throw notAMethod(method);
  const args = decodeStructured(await request.text()) as unknown[];
  const result = await (target as unknown as Record<string, Method>)[method]?.(...args);
  try {
    return new Response(encodeStructured(result, `the result of ${method}()`));
  } catch (error) {
    const { name, message, stack } = error as Error;
    throw remoteError(name, message, stack);
  } finally {
    // Stubs among it would keep the isolate busy.
    (result as Partial<Disposable> | null | undefined)?.[Symbol.dispose]?.();
  }
}

/** In the runtime's words. */
function notAMethod(method: string): Error {
  const message = `The RPC receiver does not implement the method "${method}".`;
  return remoteError("TypeError", message, undefined);
}

/** As the caller gets it: of a built-in class if it was of one. */
export function toThrown(error: unknown): unknown {
  if (!(error instanceof Error)) return error;
  const { name, message, stack } = error;
  return errorOf(name, message, stack);
}
