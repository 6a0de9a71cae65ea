/**
 * The static assets of one version, ready to answer: which request is for an asset, and what the answer is but for
 * its content. Pure.
 */
import type { AssetFile, AssetManifest, HeaderRule, RedirectRule } from "../../protocol/assets.ts";
import type { AssetsState } from "../../protocol/routing.ts";
import { find, type Files, type Found } from "./find.ts";
import { fill, Pattern } from "./pattern.ts";

export type Decision =
  | { readonly kind: "file"; readonly file: AssetFile; readonly status: 200 | 404 }
  | { readonly kind: "redirect"; readonly location: string; readonly status: number }
  /** There is an asset, but the method is none for it. */
  | { readonly kind: "bad-method" }
  /** A rule led to an asset that there is not. */
  | { readonly kind: "not-found" }
  /** The request is not for an asset. */
  | { readonly kind: "none" };

export class Site {
  readonly #files: Files;
  /** Of rules without patterns, the first for each path. */
  readonly #static = new Map<string, RedirectRule>();
  readonly #redirects: readonly { readonly pattern: Pattern; readonly rule: RedirectRule }[];
  readonly #headers: readonly { readonly pattern: Pattern; readonly rule: HeaderRule }[];

  constructor({ files, redirects, headers }: AssetManifest) {
    this.#files = new Map(Object.entries(files));
    for (const rule of redirects) {
      if (IS_PLAIN.test(rule.from) && !this.#static.has(rule.from)) {
        this.#static.set(rule.from, rule);
      }
    }
    this.#redirects = redirects
      .filter(({ from }) => !IS_PLAIN.test(from))
      .map((rule) => ({ pattern: new Pattern(rule.from), rule }));
    this.#headers = headers.map((rule) => ({ pattern: new Pattern(rule.path), rule }));
  }

  /** How many things it holds in memory, about. */
  get size(): number {
    return this.#files.size + this.#static.size + this.#redirects.length + this.#headers.length;
  }

  /** `isOwnMiss`: a request that finds nothing is answered as the assets' configuration says. */
  decide(url: URL, method: string, state: AssetsState, isOwnMiss: boolean): Decision {
    const rule = this.#redirectOf(url);
    const redirect = rule && rule.status !== 200 ? locationOf(rule.to, url) : undefined;
    if (rule && redirect !== undefined) {
      return { kind: "redirect", location: redirect, status: rule.status };
    }
    const isProxied = rule?.status === 200;
    const pathname = isProxied ? new URL(rule.to, url).pathname : url.pathname;
    const path = decoded(pathname);
    const handling = {
      html: state.htmlHandling,
      notFound: isOwnMiss ? state.notFoundHandling : "none",
    };
    const found = find(this.#files, handling, path);
    if (found === undefined) return { kind: isProxied ? "not-found" : "none" };
    if (method !== "GET" && method !== "HEAD") return { kind: "bad-method" };
    return canonical(found, path, pathname, url.search);
  }

  /** What the `_headers` file adds to the answer for this URL, and removes from it. */
  applyHeaders(url: URL, headers: Headers): void {
    const set = new Set<string>();
    for (const { pattern, rule } of this.#headers) {
      const captures = pattern.match(textFor(rule.path, url));
      if (captures === undefined) continue;
      for (const name of rule.unset) headers.delete(name);
      for (const [name, value] of Object.entries(rule.set)) {
        const filled = fill(value, captures);
        if (set.has(name)) headers.append(name, filled);
        else headers.set(name, filled);
        set.add(name);
      }
    }
  }

  #redirectOf(url: URL): RedirectRule | undefined {
    const known = this.#static.get(url.pathname);
    for (const { pattern, rule } of this.#redirects) {
      if (known !== undefined && known.line < rule.line) break;
      const captures = pattern.match(textFor(rule.from, url));
      if (captures !== undefined) return { ...rule, to: target(rule.to, captures) };
    }
    return known;
  }
}

const IS_PLAIN = /^(?!.*(?:\*|:[A-Za-z]))/;

/** A path that is not spelled as it would be linked to is redirected to its proper spelling. */
function canonical(found: Found, path: string, pathname: string, search: string): Decision {
  const proper = encoded(found.kind === "redirect" ? found.path : path);
  if (found.kind === "redirect" || proper !== pathname) {
    return { kind: "redirect", location: proper + search, status: 307 };
  }
  return found;
}

/** What patterns with a host are compared with, and those without. */
function textFor(pattern: string, { hostname, pathname }: URL): string {
  return pattern.startsWith("https://") ? `https://${hostname}${pathname}` : pathname;
}

/** A path that was put together from a request's parts never becomes the name of another host. */
function target(to: string, captures: Readonly<Record<string, string>>): string {
  const filled = fill(to, captures).trim();
  if (/^(?:\w+:\/\/|\/\/[^/\\\s?#])/.test(to.trim())) return filled;
  const end = filled.search(/[?#]/);
  const path = end < 0 ? filled : filled.slice(0, end);
  return path.replace(/[/\\]+/g, "/") + filled.slice(path.length);
}

/** undefined: what came out of the rule is no URL. */
function locationOf(to: string, url: URL): string | undefined {
  const destination = URL.parse(to, url.href);
  if (destination === null) return undefined;
  const { origin, pathname, hash } = destination;
  const search = destination.search || url.search;
  if (origin === url.origin) return pathname + search + hash;
  destination.search = search;
  return destination.href;
}

function decoded(pathname: string): string {
  const parts = pathname.split("/").map((part) => {
    try {
      return decodeURIComponent(part);
    } catch {
      // Not encoded after all.
      return part;
    }
  });
  return parts.join("/").replace(/\/+/g, "/");
}

function encoded(path: string): string {
  return path.split("/").map(encodeURIComponent).join("/");
}
