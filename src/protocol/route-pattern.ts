/**
 * Cloudflare's route patterns: `[scheme://]host/path`, a `*` only at the start of the host and at the
 * end of the path. https://developers.cloudflare.com/workers/configuration/routing/routes/
 */

export interface RoutePattern {
  /** null: both. */
  readonly scheme: "http" | "https" | null;
  /** Without the wildcard: `.example.com` for `*.example.com`, `` for `*`. Lower case. */
  readonly host: string;
  readonly hostWildcard: boolean;
  /** Without the wildcard. */
  readonly path: string;
  readonly pathWildcard: boolean;
}

/** The reason is a sentence that names the pattern and the remedy. */
export type ParsedPattern =
  | { readonly ok: true; readonly pattern: RoutePattern }
  | { readonly ok: false; readonly reason: string };

const HOST = /^(?:[a-z0-9_](?:[a-z0-9_-]*[a-z0-9_])?)(?:\.[a-z0-9_](?:[a-z0-9_-]*[a-z0-9_])?)*$/;

export function parseRoutePattern(text: string): ParsedPattern {
  const fail = (why: string): ParsedPattern => ({
    ok: false,
    reason: `route pattern "${text}" ${why}`,
  });
  if (text.includes("?") || text.includes("#")) {
    return fail("has a query or fragment; patterns match host and path only, so leave it out");
  }
  const [, schemeText, rest = ""] = /^(?:([a-z]+):\/\/)?(.*)$/i.exec(text) ?? [];
  const scheme = schemeText?.toLowerCase() ?? null;
  if (scheme !== null && scheme !== "http" && scheme !== "https") {
    return fail(`has the scheme "${scheme}"; use http, https or none`);
  }
  const slash = rest.indexOf("/");
  const hostText = (slash < 0 ? rest : rest.slice(0, slash)).toLowerCase();
  const pathText = slash < 0 ? "/" : rest.slice(slash);
  if (hostText === "") return fail("has no host; write it as host/path, such as example.com/*");
  if (hostText.includes(":"))
    return fail("has a port; routes match on every port, so leave it out");
  const hostWildcard = hostText.startsWith("*");
  const host = hostWildcard ? hostText.slice(1) : hostText;
  if (host.includes("*")) return fail("has a * inside the host; it may only be at its start");
  const labels = host.replace(/^\./, "");
  if (labels === "" ? !hostWildcard || host !== "" : !HOST.test(labels)) {
    return fail(`has the host "${hostText}", which is not a host name`);
  }
  const pathWildcard = pathText.endsWith("*");
  const path = pathWildcard ? pathText.slice(0, -1) : pathText;
  if (path.includes("*")) return fail("has a * inside the path; it may only be at its end");
  return { ok: true, pattern: { scheme, host, hostWildcard, path, pathWildcard } };
}
