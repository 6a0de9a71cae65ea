/**
 * The limits of bodies: request_body_mb and response_body_mb. A declared length is judged at once. A body
 * without one has to be counted chunk by chunk in JavaScript, which costs about half of what a whole request
 * costs otherwise; so answers of functions in edges are looked at only if their limit is lower than the
 * platform's own default. (An answer that came over a hop mostly has its length declared.)
 */
import { LimitError } from "../protocol/dispatch-errors.ts";
import { LIMITS } from "../protocol/limits.ts";
import type { ScriptEntry } from "../namespace/script-entry.ts";

const MEBIBYTE = 1024 * 1024;

export interface BoundRequest {
  readonly request: Request;
  /** Aborted, with a LimitError as the reason, once too much came. undefined: nothing is counted. */
  readonly signal: AbortSignal | undefined;
}

/** Throws a LimitError if the request declares too much. */
export function boundRequest(entry: ScriptEntry, request: Request): BoundRequest {
  const { body } = request;
  if (body === null) return { request, signal: undefined };
  const megabytes = entry.limits.request_body_mb;
  const declared = request.headers.get("content-length");
  if (declared !== null) {
    if (Number(declared) > megabytes * MEBIBYTE) throw requestTooLarge(entry);
    return { request, signal: undefined };
  }
  const aborter = new AbortController();
  const { signal } = aborter;
  // A body that fails looks to the function as if it had ended: so it never ends, and the invocation does.
  const never = (reason: unknown) => {
    aborter.abort(reason);
    return new Promise<never>(() => {});
  };
  const counted = counting(body, megabytes * MEBIBYTE, {
    excess: () => never(requestTooLarge(entry)),
    failure: never,
  });
  const init = { body: counted, signal };
  return { request: new Request(request, init), signal };
}

/** Throws a LimitError if the response declares too much; one that streams more than it may ends with an error. */
export function boundResponse(entry: ScriptEntry, request: Request, response: Response): Response {
  const megabytes = entry.limits.response_body_mb;
  if (entry.place === "edge" && megabytes >= LIMITS.response_body_mb.default) return response;
  const declared = response.headers.get("content-length");
  if (declared === null) {
    if (response.body === null) return response;
    const counted = counting(response.body, megabytes * MEBIBYTE, {
      excess: () => Promise.reject(responseTooLarge(entry)),
      failure: (error) => Promise.reject(error as Error),
    });
    return new Response(counted, response);
  }
  if (Number(declared) <= megabytes * MEBIBYTE || request.method === "HEAD") return response;
  response.body?.cancel().catch(() => {
    // It failed by itself, which is as good.
  });
  throw responseTooLarge(entry);
}

interface Endings {
  readonly excess: () => Promise<never>;
  readonly failure: (error: unknown) => Promise<never>;
}

/** Passes a stream on; once more than `maxBytes` came, or it fails, what comes next is what `endings` say. */
function counting(
  body: ReadableStream<Uint8Array>,
  maxBytes: number,
  { excess, failure }: Endings,
): ReadableStream<Uint8Array> {
  const reader = body.getReader();
  let bytes = 0;
  return new ReadableStream({
    type: "bytes",
    async pull(controller) {
      const read = () => reader.read().catch(failure);
      let { done, value } = await read();
      // A byte stream takes no empty chunk.
      while (!done && value?.byteLength === 0) ({ done, value } = await read());
      if (value === undefined) {
        controller.close();
        controller.byobRequest?.respond(0);
        return;
      }
      bytes += value.byteLength;
      if (bytes <= maxBytes) {
        controller.enqueue(value);
        return;
      }
      reader.cancel().catch(() => {
        // It failed by itself, which is as good.
      });
      await excess();
    },
    cancel: (reason) => reader.cancel(reason),
  });
}

function requestTooLarge(entry: ScriptEntry): LimitError {
  const { namespace, script } = entry.state;
  return new LimitError(
    "requestTooLarge",
    `The request's body is larger than request_body_mb = ${entry.limits.request_body_mb} of function ` +
      `"${namespace}/${script}" allows; send less or raise that limit`,
  );
}

function responseTooLarge(entry: ScriptEntry): LimitError {
  const { namespace, script } = entry.state;
  return new LimitError(
    "responseTooLarge",
    `The response's body is larger than response_body_mb = ${entry.limits.response_body_mb} of function ` +
      `"${namespace}/${script}" allows; answer less or raise that limit`,
  );
}
