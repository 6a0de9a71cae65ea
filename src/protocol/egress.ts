/**
 * What travels with a function's `fetch()`: from the gate of its isolate to the egress, and from there to an edge
 * if the request is for a function of ours or for an outbound Worker. The gate removes what the function itself
 * set under this name; the egress lets it not out of the machine.
 */
import type { OutboundTarget } from "./outbound.ts";

/** JSON of `EgressCall`, in ASCII. */
export const EGRESS_HEADER = "x-skep-egress";

/** Tells an answer of the platform from one of the destination. Its value is the reason. */
export const EGRESS_ERROR_HEADER = "x-skep-egress-error";

/**
 * What the trusted code beside an isolate asks of an edge, since a cell has no other way to the rest of the platform:
 *
 *   dispatch   a call of another function: bindings to services and to dispatch namespaces
 *   limits     a call that a rate limit counts
 *   assets     static assets of the isolate's own version
 *   traces     trace events for whoever wants them
 *   analytics  data points that functions wrote
 */
export type EdgeService = "dispatch" | "limits" | "assets" | "traces" | "analytics";

/** Which function asked. */
export interface EgressCall {
  readonly namespace: string;
  readonly script: string;
  /** The functions through which the call came, oldest first, this one last, as `<namespace>/<script>`. */
  readonly via: readonly string[];
  /** Who gets the request, whatever its URL. */
  readonly outbound?: OutboundTarget;
  /** Of `assets`: whose. */
  readonly versionId?: string;
  /** Of `call`: shows that an edge gave it to the cell (src/protocol/grants.ts). */
  readonly grant?: string;
  /** No fetch of the function, but a call to an edge by the trusted code beside it. */
  readonly call?: EdgeService;
}

export function encodeEgressCall(call: EgressCall): string {
  const text = JSON.stringify(call);
  // Names are ASCII, parameters need not be.
  return call.outbound === undefined ? text : text.replace(/[^ -~]/g, escapeUnit);
}

function escapeUnit(unit: string): string {
  return `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`;
}

/** undefined: the request does not say. */
export function callerOf({ headers }: Request): EgressCall | undefined {
  const text = headers.get(EGRESS_HEADER);
  return text === null ? undefined : (JSON.parse(text) as EgressCall);
}

/** An answer of the destination, which must not pass for one of the platform. */
export function withoutErrorHeader(response: Response): Response {
  if (!response.headers.has(EGRESS_ERROR_HEADER)) return response;
  const copy = new Response(response.body, response);
  copy.headers.delete(EGRESS_ERROR_HEADER);
  return copy;
}
