/** The one error that API code throws, and the one place where errors become answers. */
import type { Context } from "hono";
import type { ContentfulStatusCode } from "hono/utils/http-status";
import { CODES, type CodeName } from "./codes.ts";
import { productOf } from "./products.ts";

export class ApiError extends Error {
  readonly status: ContentfulStatusCode;
  readonly code: number;
  /** One entry of the envelope's `errors` each; the first is `message`. */
  readonly messages: readonly string[];

  /** What clients read besides: `meta.details` of the first entry. */
  readonly details: readonly unknown[] | undefined;

  constructor(
    name: CodeName,
    messages: string | readonly string[],
    { details, ...options }: ErrorOptions & { readonly details?: readonly unknown[] } = {},
  ) {
    const all = typeof messages === "string" ? [messages] : messages;
    super(all.join("; "), options);
    this.messages = all;
    this.details = details;
    this.code = CODES[name].code;
    this.status = CODES[name].status;
  }
}

/** Bugs leave a generic text; what happened is in the log. */
export function onError(error: Error, c: Context): Response {
  const known =
    error instanceof ApiError
      ? error
      : new ApiError("internal", "Internal error. The hub's log says more.");
  if (!(error instanceof ApiError)) {
    console.error(`${c.req.method} ${c.req.path}: ${error.stack ?? String(error)}`);
  }
  const { code, details } = known;
  const errors = known.messages.map((message, index) => {
    return index === 0 && details ? { code, message, meta: { details } } : { code, message };
  });
  return c.json({ success: false, errors, messages: [], result: null }, known.status);
}

/** Products of Cloudflare that Skep lacks are refused by name, also for clients that show the status line only. */
export function onNoRoute(c: Context): Response {
  const { method, path } = c.req;
  const product = productOf(path.replace(/^\/client\/v4/, ""));
  if (product === undefined) {
    throw new ApiError(
      "noRoute",
      `Could not route to ${method} ${path}, perhaps your object identifier is invalid?`,
    );
  }
  const statusText = `Skep has no ${product}`;
  const message = `${statusText}: ${method} ${path} is not supported by this platform.`;
  const { body, status, headers } = onError(new ApiError("notSupported", message), c);
  return new Response(body, { status, statusText, headers });
}
