/**
 * What a client sees when the platform, not the function, has to answer: a small JSON or HTML body by
 * `Accept`, Cloudflare's number in `x-skep-error`, and the ray id.
 * Numbers: https://developers.cloudflare.com/support/troubleshooting/http-status-codes/cloudflare-1xxx-errors/
 */

interface PlatformError {
  readonly status: number;
  readonly code: number;
  readonly title: string;
  readonly retryAfterSeconds?: number;
}

export const PLATFORM_ERRORS = {
  notFound: { status: 404, code: 1016, title: "No function answers at this address" },
  exception: { status: 500, code: 1101, title: "The function threw an exception" },
  unavailable: {
    status: 503,
    code: 1105,
    title: "The function cannot be reached right now",
    retryAfterSeconds: 1,
  },
} as const satisfies Record<string, PlatformError>;

export type Reason = keyof typeof PLATFORM_ERRORS;

/** Why a user Worker's `fetch` rejected. `remote`, which only the runtime sets, marks the function's own. */
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
  if (message.startsWith("Worker not found")) return "notFound";
  return retryable === true ? "unavailable" : "exception";
}

export function platformError(reason: Reason, request: Pick<Request, "headers">): Response {
  const error: PlatformError = PLATFORM_ERRORS[reason];
  const { status, code, title, retryAfterSeconds } = error;
  const ray = request.headers.get("cf-ray") ?? "";
  const headers = new Headers({ "x-skep-error": String(code), "cf-ray": ray });
  if (retryAfterSeconds !== undefined) headers.set("retry-after", String(retryAfterSeconds));
  if (request.headers.get("accept")?.includes("text/html")) {
    headers.set("content-type", "text/html; charset=utf-8");
    return new Response(html(code, title, ray), { status, headers });
  }
  return Response.json({ error: { code, message: title, ray } }, { status, headers });
}

/** Nothing in it comes from the request but the ray id, which the platform sets. */
function html(code: number, title: string, ray: string): string {
  const safeRay = ray.replace(/[^0-9a-zA-Z-]/g, "");
  return `<!doctype html><meta charset="utf-8"><title>Error ${code}</title>
<h1>Error ${code}</h1><p>${title}.</p><p><small>Ray ${safeRay}</small></p>
`;
}
