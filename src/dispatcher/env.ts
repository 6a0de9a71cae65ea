/**
 * The dispatcher's bindings and variables. wrangler.toml has them for Cloudflare; on a Skep server the
 * edge supplies them.
 */
import type { Route } from "../protocol/routing.ts";
import type { MetricsSink } from "./recorder.ts";
import { RouteTable, type Target } from "./routes.ts";

export interface DispatcherEnv {
  /**
   * On a Skep server: every namespace by name, with what may be reached in it `by` this way. Elsewhere each has a
   * binding named by `bindingName`.
   */
  readonly NAMESPACES?: { get(namespace: string, by: Target["by"]): DispatchNamespace };
  readonly DISPATCHER: DispatchNamespace;
  readonly [binding: `DISPATCHER_${string}`]: DispatchNamespace | undefined;
  /** Missing, or METRICS_FLUSH_MS is 0: nothing is recorded. */
  readonly METRICS?: MetricsSink;
  /** Milliseconds between deliveries of records. @default 250 */
  readonly METRICS_FLUSH_MS?: string;
  /** Functions answer at `<script>.<namespace>.<BASE_DOMAIN>`. */
  readonly BASE_DOMAIN: string;
  /** `off`: answers of cold functions carry no Server-Timing header. @default on */
  readonly SERVER_TIMING?: string;
  /** Custom routes, as JSON variable or, on a Skep server, the live list. */
  readonly ROUTES?: readonly Route[];
}

/** The namespace whose binding is plain DISPATCHER. */
export const DEFAULT_NAMESPACE = "production";

/** `staging-eu` is bound as DISPATCHER_STAGING_EU. */
export function bindingName(namespace: string): "DISPATCHER" | `DISPATCHER_${string}` {
  if (namespace === DEFAULT_NAMESPACE) return "DISPATCHER";
  return `DISPATCHER_${namespace.toUpperCase().replace(/[^A-Z0-9]/g, "_")}`;
}

const NO_ROUTES: readonly Route[] = [];
let compiled: { routes: readonly Route[]; baseDomain: string; table: RouteTable } | undefined;

/** The table of the current list; compiled anew when the list is another object. */
export function routesOf(env: DispatcherEnv): RouteTable {
  const routes = env.ROUTES ?? NO_ROUTES;
  if (compiled?.routes !== routes || compiled.baseDomain !== env.BASE_DOMAIN) {
    const table = new RouteTable(routes, env.BASE_DOMAIN);
    compiled = { routes, baseDomain: env.BASE_DOMAIN, table };
  }
  return compiled.table;
}
