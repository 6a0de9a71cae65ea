/** The names that the TLS certificate should cover. */
import { parseRoutePattern } from "../protocol/route-pattern.ts";

/** A certificate's wildcard stands for one label (RFC 6125 section 6.4.3), so each namespace has its own. */
export function hostnames(
  baseDomain: string,
  namespaces: readonly string[],
  patterns: readonly string[],
): string[] {
  const names = [
    baseDomain,
    `*.${baseDomain}`,
    ...namespaces.map((namespace) => `*.${namespace}.${baseDomain}`),
    ...patterns.flatMap(hostsOf),
  ];
  return [...new Set(names)];
}

function hostsOf(text: string): string[] {
  const parsed = parseRoutePattern(text);
  if (!parsed.ok) return [];
  const { host, hostWildcard } = parsed.pattern;
  if (!hostWildcard) return [host];
  // `*` alone is every host there is: no certificate can say that.
  if (host === "") return [];
  // `*.example.com`, or `*example.com`, which also is example.com itself.
  return host.startsWith(".") ? [`*${host}`] : [host, `*.${host}`];
}
