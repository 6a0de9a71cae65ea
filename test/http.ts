/**
 * HTTP as it is on the wire, for tests: names under `localhost` lead here without DNS, redirects are not
 * followed, bodies not decompressed, any method goes, and a response may start before its request ends.
 * The built-in `fetch` does none of this.
 */
import { request as httpRequest, type IncomingMessage } from "node:http";
import { Readable } from "node:stream";
import type { ReadableStream } from "node:stream/web";

export interface Outgoing {
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string | Uint8Array | ReadableStream<Uint8Array>;
}

/** One connection per request. Resolves with the response head; rejects if the connection is lost. */
export function send(
  url: string | URL,
  { method, headers, body }: Outgoing = {},
): Promise<Response> {
  const { host, port, pathname, search } = new URL(url);
  const { promise, resolve, reject } = Promise.withResolvers<Response>();
  const request = httpRequest({
    host: "127.0.0.1",
    port,
    path: pathname + search,
    method: method ?? "GET",
    headers: { ...headers, host },
    agent: false,
  });
  request.on("response", (message) => resolve(toResponse(message, method)));
  request.on("error", reject);
  if (body === undefined || typeof body === "string" || body instanceof Uint8Array) {
    request.end(body);
  } else {
    // A client is told to send what it has: without this, small chunks wait for the next one.
    request.flushHeaders();
    Readable.fromWeb(body).on("error", reject).pipe(request);
  }
  return promise;
}

/** Statuses that have no body; `Response` refuses one. */
const WITHOUT_BODY = [204, 205, 304];

function toResponse(message: IncomingMessage, method: string | undefined): Response {
  const { statusCode: status = 0, statusMessage: statusText = "", rawHeaders } = message;
  const headers = new Headers();
  for (let i = 0; i + 1 < rawHeaders.length; i += 2) {
    headers.append(rawHeaders[i] as string, rawHeaders[i + 1] as string);
  }
  if (WITHOUT_BODY.includes(status) || method === "HEAD") {
    message.resume();
    return new Response(null, { status, statusText, headers });
  }
  const body = Readable.toWeb(message);
  return new Response(body as ConstructorParameters<typeof Response>[0], {
    status,
    statusText,
    headers,
  });
}
