/**
 * Which function a URL belongs to: custom routes first, the most specific one winning, then the default
 * name `<script>.<namespace>.<base domain>`. Answers are cached per host, so that a warm request costs
 * one map lookup.
 */
import type { Route } from "../protocol/routing.ts";
import { parseRoutePattern, type RoutePattern } from "../protocol/route-pattern.ts";

export interface FunctionName {
  readonly namespace: string;
  readonly script: string;
}

export interface Target extends FunctionName {
  /** What led to it. */
  readonly by: "host" | "route";
}

interface CompiledRoute extends RoutePattern {
  readonly target: Target | null;
}

/** What a host can lead to. `routes`: those whose host matches, most specific first. */
interface HostEntry {
  readonly routes: readonly CompiledRoute[];
  readonly byName: Target | null;
}

const MAX_CACHED_HOSTS = 10_000;

/** A host name has at most 253 characters (RFC 1035 section 2.3.4); longer ones are not looked up. */
const MAX_HOST_LENGTH = 253;

export class RouteTable {
  readonly #routes: readonly CompiledRoute[];
  readonly #suffix: string;
  readonly #hosts = new Map<string, HostEntry>();

  constructor(routes: readonly Route[], baseDomain: string) {
    this.#routes = routes.flatMap(compile).sort(bySpecificity);
    this.#suffix = `.${baseDomain}`;
  }

  /** null: no function answers this URL. */
  match(url: string): Target | null {
    const hostStart = url.indexOf("//") + 2;
    const pathStart = url.indexOf("/", hostStart);
    const hostEnd = pathStart < 0 ? url.length : pathStart;
    const authority = url.slice(hostStart, hostEnd);
    const entry = this.#hosts.get(authority) ?? this.#enter(authority);
    for (const route of entry.routes) {
      if (matchesPath(route, url, hostStart, hostEnd)) return route.target;
    }
    return entry.byName;
  }

  #enter(authority: string): HostEntry {
    const host = authority.replace(/:\d+$/, "").toLowerCase();
    const entry = {
      routes: this.#routes.filter((route) => matchesHost(route, host)),
      byName: this.#byName(host),
    };
    if (authority.length <= MAX_HOST_LENGTH) {
      if (this.#hosts.size >= MAX_CACHED_HOSTS) this.#hosts.clear();
      this.#hosts.set(authority, entry);
    }
    return entry;
  }

  #byName(host: string): Target | null {
    if (!host.endsWith(this.#suffix)) return null;
    const labels = host.slice(0, -this.#suffix.length).split(".");
    const [script, namespace] = labels;
    if (labels.length !== 2 || !script || !namespace) return null;
    return { namespace, script, by: "host" };
  }
}

function compile(route: Route): CompiledRoute[] {
  const parsed = parseRoutePattern(route.pattern);
  // The API refuses bad patterns; on Cloudflare the list is the operator's own variable.
  if (!parsed.ok) throw new Error(parsed.reason);
  const { namespace, script } = route;
  const target = script === null ? null : { namespace, script, by: "route" as const };
  return [{ ...parsed.pattern, target }];
}

/** Exact hosts before wildcards, longer hosts before shorter ones, then the same for paths. */
function bySpecificity(a: CompiledRoute, b: CompiledRoute): number {
  return (
    Number(a.hostWildcard) - Number(b.hostWildcard) ||
    b.host.length - a.host.length ||
    b.path.length - a.path.length ||
    Number(a.pathWildcard) - Number(b.pathWildcard) ||
    Number(a.scheme === null) - Number(b.scheme === null)
  );
}

function matchesHost({ host, hostWildcard }: CompiledRoute, name: string): boolean {
  return hostWildcard ? name.endsWith(host) : name === host;
}

function matchesPath(
  { scheme, path, pathWildcard }: CompiledRoute,
  url: string,
  hostStart: number,
  hostEnd: number,
): boolean {
  // `http://` has 7 characters before the host, `https://` 8.
  if (scheme !== null && hostStart !== scheme.length + 3) return false;
  const query = url.indexOf("?", hostEnd);
  const urlPath = url.slice(hostEnd, query < 0 ? undefined : query) || "/";
  return pathWildcard ? urlPath.startsWith(path) : urlPath === path;
}
