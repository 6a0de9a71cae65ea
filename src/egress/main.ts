/**
 * The egress Worker: the only way out for what tenants `fetch()`. Its own network reaches public addresses only;
 * workerd checks the address that a name resolves to, so a name that points at a private address is refused too.
 *
 * Requests come in as to a forward proxy, with the whole URL, and go out unchanged. Redirects are not followed
 * here: the tenant's own `fetch` does, and each hop passes through again.
 *
 * A destination that cannot be reached is answered with 502 and a sentence, as Cloudflare answers with a page of
 * status 52x or 530 where an origin fails; on both, `fetch()` does not reject. The header tells this answer from
 * one of the destination, which cannot set it.
 */
const ERROR_HEADER = "x-skep-egress-error";

export default {
  async fetch(request) {
    try {
      const response = await fetch(request);
      return response.headers.has(ERROR_HEADER) ? withoutErrorHeader(response) : response;
    } catch (error) {
      return unreachable(new URL(request.url).host, error);
    }
  },
} satisfies ExportedHandler;

function withoutErrorHeader(response: Response): Response {
  const copy = new Response(response.body, response);
  copy.headers.delete(ERROR_HEADER);
  return copy;
}

/**
 * workerd says "Network connection lost." when an allowed address does not answer. For an address that is not
 * allowed and for a name without an address it says "internal error" alike (its log tells them apart), so they
 * share one answer; that also keeps tenants from probing which internal names exist.
 */
function unreachable(host: string, error: unknown): Response {
  const lost = error instanceof Error && error.message.startsWith("Network connection lost");
  const [reason, sentence] = lost
    ? ["connection-lost", `The connection to ${host} failed.`]
    : ["not-reachable", `${host} has no public address; others are not reachable from functions.`];
  return new Response(`${sentence}\n`, {
    status: 502,
    headers: { [ERROR_HEADER]: reason, "content-type": "text/plain;charset=utf-8" },
  });
}
