/**
 * The egress Worker: the only way out for what tenants `fetch()`. Its own network reaches public addresses only;
 * workerd checks the address that a name resolves to, so a name that points at a private address is refused too.
 * The operator's policy may refuse more (policy.ts).
 *
 * Requests come in as to a forward proxy, with the whole URL, and go out unchanged but for the header that says
 * whose they are. Redirects are not followed here: the tenant's own `fetch` does, and each hop passes through
 * again. What is meant for our own functions goes to an edge (edges.ts), and so does everything that an outbound
 * Worker is to get; what that fetches itself comes here again.
 *
 * A destination that cannot be reached is answered with 502 and a sentence, as Cloudflare answers with a page of
 * status 52x or 530 where an origin fails; on both, `fetch()` does not reject. The header tells this answer from
 * one of the destination, which cannot set it.
 */
import { UnavailableError } from "../protocol/dispatch-errors.ts";
import {
  callerOf,
  EGRESS_ERROR_HEADER,
  EGRESS_HEADER,
  withoutErrorHeader,
} from "../protocol/egress.ts";
import { destinationOf, type EgressPolicy } from "../protocol/egress-policy.ts";
import { relayed } from "../protocol/relay.ts";
import { fetchFromEdge } from "./edges.ts";
import { Policy } from "./policy.ts";

interface EgressEnv {
  readonly BASE_DOMAIN: string;
  readonly POLICY: EgressPolicy;
  /** Reaches what the policy lists as `allowPrivate`, and nothing else. */
  readonly PRIVATE: Fetcher;
  /** How many edges there are: EDGE_0 to EDGE_n. */
  readonly EDGES: number;
  readonly [edge: `EDGE_${number}`]: Fetcher;
}

/** The bindings never change while the process lives. */
let policy: Policy | undefined;

export default {
  async fetch(request, env) {
    policy ??= new Policy(env.POLICY);
    // Without one the policy's defaults hold.
    const caller = callerOf(request);
    const namespace = caller?.namespace;
    const url = new URL(request.url);
    if (caller?.outbound !== undefined || caller?.call !== undefined) {
      return fetchFromEdge(edgesOf(env), request).then(relayed, (error: unknown) =>
        unreachable(url.host, error),
      );
    }
    const destination = destinationOf(url);
    const verdict = policy.judge(namespace, destination);
    if (!verdict.ok) return denied(url.host, namespace, verdict.setting);
    try {
      const response = isOurs(destination.host, env.BASE_DOMAIN)
        ? await fetchFromEdge(edgesOf(env), request)
        : await fetchOutside(request, verdict.network === "private" ? env.PRIVATE : globalThis);
      return withoutErrorHeader(response);
    } catch (error) {
      return unreachable(url.host, error);
    }
  },
} satisfies ExportedHandler<EgressEnv>;

function isOurs(host: string, baseDomain: string): boolean {
  return host === baseDomain || host.endsWith(`.${baseDomain}`);
}

function edgesOf(env: EgressEnv): Fetcher[] {
  return Array.from({ length: env.EDGES }, (_, index) => env[`EDGE_${index}`] as Fetcher);
}

function fetchOutside(request: Request, network: Pick<Fetcher, "fetch">): Promise<Response> {
  const outgoing = new Request(request);
  outgoing.headers.delete(EGRESS_HEADER);
  return network.fetch(outgoing);
}

function denied(host: string, namespace: string | undefined, setting: string): Response {
  const whose = namespace === undefined ? "Functions" : `Functions of namespace "${namespace}"`;
  return failure(403, "denied", `${whose} may not fetch ${host}: egress policy, ${setting}.`);
}

/**
 * workerd says "Network connection lost." when an allowed address does not answer. For an address that is not
 * allowed and for a name without an address it says "internal error" alike (its log tells them apart), so they
 * share one answer; that also keeps tenants from probing which internal names exist.
 */
function unreachable(host: string, error: unknown): Response {
  if (error instanceof UnavailableError) {
    return failure(503, "unavailable", `${host} cannot be reached now. Try again in a moment.`);
  }
  const lost = error instanceof Error && error.message.startsWith("Network connection lost");
  return lost
    ? failure(502, "connection-lost", `The connection to ${host} failed.`)
    : failure(
        502,
        "not-reachable",
        `${host} has no public address; others are not reachable from functions.`,
      );
}

function failure(status: number, reason: string, sentence: string): Response {
  const headers = new Headers({
    [EGRESS_ERROR_HEADER]: reason,
    "content-type": "text/plain;charset=utf-8",
  });
  if (status === 503) headers.set("retry-after", "1");
  return new Response(`${sentence}\n`, { status, headers });
}
