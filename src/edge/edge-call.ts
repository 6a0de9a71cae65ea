/** One invocation on its way through this edge, and what the function gets with it. */
import type { InvokeOptions } from "../cell/isolates.ts";
import type { ScriptEntry } from "../namespace/script-entry.ts";
import type { DispatchCall, InvocationFacts } from "../namespace/user-worker.ts";
import { EVENT_WALL_MS } from "../protocol/events.ts";
import type { InvocationLimits } from "../protocol/hop.ts";
import type { Variant } from "../protocol/outbound.ts";

export interface EdgeCall {
  readonly entry: ScriptEntry;
  readonly dispatch: DispatchCall;
  /** Left out: the plain version. */
  readonly variant?: Variant | undefined;
  /** The functions through which it came, oldest first, as `<namespace>/<script>`. */
  readonly via: readonly string[];
  readonly request: Request;
  /** Ends the invocation. */
  readonly signal: AbortSignal | undefined;
  readonly facts: InvocationFacts;
}

/** What the dispatcher asks for lowers the function's limits; it never raises them. */
export function optionsOf(
  entry: ScriptEntry,
  { args, options, entrypoint, rpc, event }: DispatchCall,
  via: readonly string[],
): InvokeOptions {
  const asked = options?.limits;
  // Whoever names an entrypoint or a method is a function itself, and so in `via`.
  if (args === undefined && asked === undefined && via.length === 0 && event === undefined) {
    return entry.options;
  }
  const own = event === undefined || event === "tail" ? entry.options.limits : unhurried(entry);
  const limits = asked === undefined ? own : lowered(own, asked);
  return { props: args, limits, via, entrypoint, rpc, event };
}

/** `wall_ms` is for clients, who wait for a response. */
function unhurried({ options }: ScriptEntry): InvocationLimits {
  return { ...options.limits, wallMs: EVENT_WALL_MS };
}

function lowered(
  { cpuMs, wallMs, subrequests }: InvocationLimits,
  { cpuMs: askedMs, subRequests }: NonNullable<DynamicDispatchOptions["limits"]>,
): InvocationLimits {
  return {
    cpuMs: lower(cpuMs, askedMs, "cpuMs"),
    wallMs,
    subrequests: lower(subrequests, subRequests, "subRequests"),
  };
}

/** Tenants dispatch, too; and what is less than nothing, or no number, would undo the limits of others. */
function lower(limit: number, asked: number | undefined, name: string): number {
  if (asked === undefined) return limit;
  if (typeof asked === "number" && asked >= 0) return Math.min(limit, asked);
  throw new TypeError(`limits.${name} must be a number that is not negative, got ${String(asked)}`);
}

/**
 * `request.cf` of functions in trusted namespaces: what is true of every request. Functions of other namespaces
 * have none, as untrusted user Workers on Cloudflare.
 */
export const TRUSTED_CF: Readonly<Record<string, unknown>> = Object.freeze({
  colo: "SKEP",
  country: null,
  httpProtocol: "HTTP/1.1",
});
