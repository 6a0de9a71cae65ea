/**
 * What a function fetches from our own base domain comes back to an edge instead of leaving the machine. The
 * chain of functions that called each other travels in a header through the dispatcher, which is an ordinary
 * Worker and knows nothing of it; a dispatcher that builds requests of its own breaks the chain. The public
 * sockets remove the header, so nobody outside can make it up.
 */
import { CALL_HEADER } from "../protocol/hop.ts";

/** Set by the gate of the isolate (src/cell/outbound.ts) and passed on by the egress: JSON `Caller`. */
const EGRESS_HEADER = "x-skep-egress";
/** From the hairpin socket to `invoke`: JSON, names as `<namespace>/<script>`. */
const VIA_HEADER = "x-skep-via";

const OWN_HEADERS = [EGRESS_HEADER, VIA_HEADER, CALL_HEADER];

interface Caller {
  /** Up to and with the function that asks, oldest first. */
  readonly via: readonly string[];
}

const NOBODY: readonly string[] = [];

/** Replaces the caller that the gate named by the chain that `invoke` reads. */
export function chainCaller(headers: Headers): void {
  const text = headers.get(EGRESS_HEADER);
  removeOwn(headers);
  if (text === null) return;
  const { via } = JSON.parse(text) as Caller;
  headers.set(VIA_HEADER, JSON.stringify(via));
}

/** For headers from outside. */
export function removeOwn(headers: Headers): void {
  for (const name of OWN_HEADERS) if (headers.has(name)) headers.delete(name);
}

export function viaOf({ headers }: Request): readonly string[] {
  const text = headers.get(VIA_HEADER);
  return text === null ? NOBODY : (JSON.parse(text) as string[]);
}

/** As the function gets it. */
export function withoutChain(request: Request): Request {
  const copy = new Request(request);
  copy.headers.delete(VIA_HEADER);
  return copy;
}
