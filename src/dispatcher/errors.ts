/**
 * What a client sees when the platform, not the function, has to answer: a small JSON or HTML body by
 * `Accept`, Cloudflare's number in `x-skep-error`, and the ray id.
 * Numbers: https://developers.cloudflare.com/support/troubleshooting/http-status-codes/cloudflare-1xxx-errors/
 */

import { isLost, limitOf, type LimitError, type LimitReason } from "../protocol/dispatch-errors.ts";

interface PlatformError {
  readonly status: number;
  readonly code: number;
  readonly title: string;
  readonly retryAfterSeconds?: number;
}

const OVER_RESOURCES = { status: 503, code: 1102, title: "Worker exceeded resource limits" };
const RATE_LIMITED = { status: 429, code: 1015, title: "You are being rate limited" };

export const PLATFORM_ERRORS = {
  notFound: { status: 404, code: 1016, title: "No function answers at this address" },
  exception: { status: 500, code: 1101, title: "The function threw an exception" },
  unavailable: {
    status: 503,
    code: 1105,
    title: "The function cannot be reached right now",
    retryAfterSeconds: 1,
  },
  exceededCpu: OVER_RESOURCES,
  exceededMemory: OVER_RESOURCES,
  backOff: OVER_RESOURCES,
  exceededWallTime: { status: 504, code: 524, title: "The function took too long to answer" },
  rateLimited: RATE_LIMITED,
  tooManyConcurrent: RATE_LIMITED,
  loop: { status: 508, code: 1019, title: "Functions call each other in a ring" },
  requestTooLarge: { status: 413, code: 413, title: "The request's body is too large" },
  overQuota: { status: 507, code: 507, title: "The function has stored more than it may" },
  responseTooLarge: { status: 502, code: 502, title: "The response's body is too large" },
} as const satisfies Record<LimitReason, PlatformError> & Record<string, PlatformError>;

export type Reason = keyof typeof PLATFORM_ERRORS;

/** How the errors of Cloudflare's own dispatch namespaces begin. */
const MESSAGES: readonly (readonly [start: string, reason: Reason])[] = [
  ["Worker not found", "notFound"],
  ["Worker exceeded CPU time limit", "exceededCpu"],
  ["Worker exceeded memory limit", "exceededMemory"],
  ["Worker exceeded resource limits", "exceededCpu"],
];

/**
 * Why a user Worker's `fetch` rejected. `remote`, which only the runtime sets, marks the function's own error,
 * whatever that pretends to be.
 */
export function reasonOf(error: unknown): Reason {
  const {
    message = "",
    remote,
    retryable,
  } = error as Partial<Error> & {
    remote?: boolean;
    retryable?: boolean;
  };
  if (remote === true) return "exception";
  const limit = limitOf(error);
  if (limit !== undefined) return limit;
  const known = MESSAGES.find(([start]) => message.startsWith(start));
  if (known !== undefined) return known[1];
  return retryable === true || isLost(error) ? "unavailable" : "exception";
}

/** `limit`: the error behind `reason`, if it is one of ours; it tells which limit, and what helps. */
export function platformError(
  reason: Reason,
  request: Pick<Request, "headers">,
  limit?: LimitError,
): Response {
  const error: PlatformError = PLATFORM_ERRORS[reason];
  const { status, code, title } = error;
  const retryAfterSeconds = limit?.retryAfterSeconds ?? error.retryAfterSeconds;
  const ray = request.headers.get("cf-ray") ?? "";
  const headers = new Headers({ "x-skep-error": String(code), "cf-ray": ray });
  if (retryAfterSeconds !== undefined) headers.set("retry-after", String(retryAfterSeconds));
  if (request.headers.get("accept")?.includes("text/html")) {
    headers.set("content-type", "text/html; charset=utf-8");
    return new Response(html(code, title, ray), { status, headers });
  }
  const message = limit?.message ?? title;
  return Response.json({ error: { code, message, ray } }, { status, headers });
}

/** Nothing in it comes from the request but the ray id, which the platform sets. */
function html(code: number, title: string, ray: string): string {
  const safeRay = ray.replace(/[^0-9a-zA-Z-]/g, "");
  return `<!doctype html><meta charset="utf-8"><title>Error ${code}</title>
<h1>Error ${code}</h1><p>${title}.</p><p><small>Ray ${safeRay}</small></p>
`;
}
