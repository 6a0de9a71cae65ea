/**
 * Products of Cloudflare that Skep does not have, by their paths in Cloudflare's API: who asks for one is told
 * its name, and not that some object identifier may be invalid. A product leaves this table when app.ts gets
 * its routes; routes go first in any case.
 */

/** Below `/client/v4`. `*` is any one segment; what follows the pattern does not matter. */
const PRODUCTS: readonly (readonly [pattern: string, product: string])[] = [
  ["/accounts/*/access", "Cloudflare Access"],
  ["/accounts/*/agent_memory", "Agent Memory"],
  ["/accounts/*/agent-memory", "Agent Memory"],
  ["/accounts/*/ai", "Workers AI"],
  ["/accounts/*/ai-gateway", "AI Gateway"],
  ["/accounts/*/ai-search", "AI Search"],
  ["/accounts/*/artifacts", "Artifacts"],
  ["/accounts/*/autorag", "AI Search"],
  ["/accounts/*/brapi", "Browser Run"],
  ["/accounts/*/browser-rendering", "Browser Run"],
  ["/accounts/*/builds", "Workers Builds"],
  ["/accounts/*/calls", "Realtime"],
  ["/accounts/*/cfd_tunnel", "Cloudflare Tunnel"],
  ["/accounts/*/challenges", "Turnstile"],
  ["/accounts/*/cloudchamber", "containers"],
  ["/accounts/*/connectivity", "Workers VPC"],
  ["/accounts/*/containers", "containers"],
  ["/accounts/*/email", "Email Routing"],
  ["/accounts/*/event_subscriptions", "event subscriptions of queues"],
  ["/accounts/*/flagship", "Flagship"],
  ["/accounts/*/hyperdrive", "Hyperdrive"],
  ["/accounts/*/images", "Cloudflare Images"],
  ["/accounts/*/k2", "K2 streams"],
  ["/accounts/*/logpush", "Logpush"],
  ["/accounts/*/media", "media transformations"],
  ["/accounts/*/mtls_certificates", "mTLS certificates"],
  ["/accounts/*/pages", "Cloudflare Pages"],
  ["/accounts/*/pipelines", "Pipelines"],
  ["/accounts/*/r2/buckets/*/domains", "public access to R2 buckets"],
  ["/accounts/*/r2/buckets/*/local-uploads", "local uploads of R2"],
  ["/accounts/*/r2/buckets/*/lock", "bucket locks of R2"],
  ["/accounts/*/r2/buckets/*/sippy", "R2 migrations"],
  ["/accounts/*/r2/metrics", "metrics of R2"],
  ["/accounts/*/r2/temp-access-credentials", "temporary credentials of R2"],
  ["/accounts/*/r2-catalog", "R2 Data Catalog"],
  ["/accounts/*/registrar", "domain registration"],
  ["/accounts/*/secrets_store", "Secrets Store"],
  ["/accounts/*/slurper", "R2 migrations"],
  ["/accounts/*/stream", "Cloudflare Stream"],
  ["/accounts/*/teamnet", "Cloudflare Tunnel"],
  ["/accounts/*/triggers", "event triggers"],
  ["/accounts/*/vectorize", "Vectorize"],
  ["/accounts/*/workers/observability", "queries of Workers Observability"],
  ["/accounts/*/workers/scripts/*/edge-preview", "remote development"],
  ["/accounts/*/workers/scripts/*/subdomain/edge-preview", "remote development"],
  ["/accounts/*/workers/subdomain/edge-preview", "remote development"],
  ["/accounts/*/workers/workers/*/previews", "Previews of branches"],
  ["/radar", "Radar"],
  ["/zones/*/email", "Email Routing"],
  ["/zones/*/hold", "zone holds"],
  ["/zones/*/workers/edge-preview", "remote development"],
];

const MATCHERS = PRODUCTS.map(([pattern, product]) => ({ segments: pattern.split("/"), product }));

/** The product that a path (below `/client/v4`) belongs to; undefined: none that is known. */
export function productOf(path: string): string | undefined {
  const asked = path.split("/");
  return MATCHERS.find(({ segments }) =>
    segments.every((segment, index) =>
      segment === "*" ? Boolean(asked[index]) : segment === asked[index],
    ),
  )?.product;
}
