/**
 * The gate: the way out of every isolate. It counts subrequests, tells egress whose request it is and through
 * which functions it came, and lets no header of ours out that the function made up. `connect()` is refused by
 * the runtime, since there is no handler for it here.
 *
 * The main module of a process that holds isolates exports it.
 */
import { WorkerEntrypoint } from "cloudflare:workers";
import { EGRESS_HEADER, encodeEgressCall } from "../protocol/egress.ts";
import type { OutboundTarget } from "../protocol/outbound.ts";
import { allowanceOf, longestChain, takeCredit } from "./allowances.ts";

/** Not forgeable: isolates.ts makes them, the runtime keeps them from the function. */
export interface OutboundProps {
  readonly namespace: string;
  readonly script: string;
  /** Key of the isolate. */
  readonly isolate: string;
  /** Who gets what the function fetches. Left out: nobody, it goes where its URL says. */
  readonly outbound?: OutboundTarget;
}

interface Env {
  readonly EGRESS: Fetcher;
}

const OWN_HEADERS = "x-skep-";

export class Outbound extends WorkerEntrypoint<Env, OutboundProps> {
  protected get target(): OutboundProps {
    return this.ctx.props;
  }

  override fetch(request: Request): Promise<Response> {
    const { namespace, script, isolate, outbound } = this.target;
    const via = chargeSubrequest({ namespace, script, isolate });
    const headers = withoutOwn(request.headers);
    const call = { namespace, script, via };
    headers.set(EGRESS_HEADER, encodeEgressCall(outbound ? { ...call, outbound } : call));
    return this.env.EGRESS.fetch(new Request(request, { headers }));
  }
}

/** Counts a call out of an isolate, or throws if it may make no more. Returns the chain that ends with it. */
export function chargeSubrequest(caller: Omit<OutboundProps, "outbound">): string[] {
  const { namespace, script, isolate } = caller;
  const allowance = allowanceOf(isolate);
  if (allowance === undefined || !takeCredit(allowance)) {
    throw new Error(tooMany(allowance?.perInvocation));
  }
  return [...longestChain(allowance), `${namespace}/${script}`];
}

/** Without what only the platform may say. */
export function withoutOwn(headers: Headers): Headers {
  const copy = new Headers(headers);
  for (const name of headers.keys()) if (name.startsWith(OWN_HEADERS)) copy.delete(name);
  return copy;
}

/** Begins as Cloudflare's message does. */
function tooMany(limit: number | undefined): string {
  const allowed = limit === undefined ? "" : ` It may make ${limit}.`;
  return (
    `Too many subrequests by single Worker invocation.${allowed} ` +
    "Make fewer, or raise the `subrequests` limit of the function."
  );
}
