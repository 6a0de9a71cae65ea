/**
 * What a function fetches comes back to an edge instead of leaving the machine if it is from our own base domain,
 * or if the function's namespace has an outbound Worker. The chain of functions that called each other travels in a
 * header through the dispatcher, which is an ordinary Worker and knows nothing of it; a dispatcher that builds
 * requests of its own breaks the chain. The public sockets remove the header, so nobody outside can make it up.
 */
import { EGRESS_HEADER, type EgressCall } from "../protocol/egress.ts";
import { CALL_HEADER } from "../protocol/hop.ts";

/** From the hairpin socket to `invoke`: JSON, names as `<namespace>/<script>`. */
const VIA_HEADER = "x-skep-via";

const OWN_HEADERS = [EGRESS_HEADER, VIA_HEADER, CALL_HEADER];

const NOBODY: readonly string[] = [];

/** Replaces the caller by the chain that `invoke` reads. */
export function chainCaller(headers: Headers, caller: EgressCall | undefined): void {
  removeOwn(headers);
  if (caller !== undefined) headers.set(VIA_HEADER, JSON.stringify(caller.via));
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
