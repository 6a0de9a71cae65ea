/**
 * Serves the static assets of versions, without their isolates. What it needs it gets from the hub once: the manifest
 * of a version, and contents as they are asked for. Small contents are kept, large ones stream through.
 */
import type { AssetFile, AssetManifest } from "../../protocol/assets.ts";
import { UnavailableError } from "../../protocol/dispatch-errors.ts";
import { EGRESS_ERROR_HEADER, type EgressCall } from "../../protocol/egress.ts";
import type { AssetsState } from "../../protocol/routing.ts";
import { notGranted, type Grants } from "../../protocol/grants.ts";
import type { HubClient } from "../hub-client.ts";
import { Once } from "../once.ts";
import { rangeOf, slice } from "./byte-range.ts";
import { ContentCache } from "./content-cache.ts";
import { Pattern } from "./pattern.ts";
import { Site } from "./site.ts";

const KEPT_BYTES = 64 * 1024 * 1024;
const MAX_KEPT_CONTENT_BYTES = 2 * 1024 * 1024;

/** Files and rules of all manifests that are kept. */
const MAX_KEPT_ENTRIES = 200_000;

/** Of how many versions it is remembered what their binding serves. */
const MAX_VERSIONS = 10_000;

const CACHE_CONTROL = "public, max-age=0, must-revalidate";

export class Assets {
  readonly #hub: HubClient;
  /** By manifest, in the order of their last use. */
  readonly #sites = new Map<string, Site>();
  #entries = 0;
  readonly #contents = new ContentCache(KEPT_BYTES);
  readonly #manifestLoads: Once<Site>;
  readonly #contentLoads: Once<Uint8Array>;
  readonly #versions = new Map<string, AssetsState>();

  constructor(hub: HubClient, keepAlive: (work: Promise<unknown>) => void) {
    this.#hub = hub;
    this.#manifestLoads = new Once(keepAlive);
    this.#contentLoads = new Once(keepAlive);
  }

  /** A request for the script. undefined: it is one for its Worker. */
  async serve(state: AssetsState, request: Request): Promise<Response | undefined> {
    const url = new URL(request.url);
    const first = state.isOnly ? "assets" : firstOf(state, url.pathname);
    if (first === "worker") return undefined;
    const site = await this.#site(state.manifest);
    if (first === undefined) {
      const isOwnMiss = Array.isArray(state.runWorkerFirst) || isNavigation(state, request);
      if (site.decide(url, request.method, state, isOwnMiss).kind === "none") return undefined;
    }
    return this.#answer(site, state, url, request);
  }

  /** A request by the Worker of a version, through its binding. */
  async fetch(versionId: string, request: Request): Promise<Response> {
    const state = await this.#stateOf(versionId);
    const site = await this.#site(state.manifest);
    return this.#answer(site, state, new URL(request.url), request);
  }

  /** The same, from a cell. */
  async answer(caller: EgressCall, request: Request, grants: Grants): Promise<Response> {
    const { versionId = "", grant } = caller;
    if (!(await grants.hold(caller, { type: "assets", versionId }, grant))) return notGranted();
    try {
      return await this.fetch(versionId, request);
    } catch (error) {
      if (!(error instanceof UnavailableError)) throw error;
      return new Response(null, { status: 503, headers: { [EGRESS_ERROR_HEADER]: "unavailable" } });
    }
  }

  async #answer(site: Site, state: AssetsState, url: URL, request: Request): Promise<Response> {
    const decision = site.decide(url, request.method, state, true);
    const response = await this.#respond(decision, request);
    site.applyHeaders(url, response.headers);
    return response;
  }

  async #respond(decision: ReturnType<Site["decide"]>, request: Request): Promise<Response> {
    switch (decision.kind) {
      case "file":
        return this.#sendFile(decision.file, decision.status, request);
      case "redirect": {
        const { status, location } = decision;
        return new Response(null, { status, headers: { location } });
      }
      case "bad-method":
        return new Response(null, { status: 405 });
      case "none":
      case "not-found":
        return new Response(null, { status: 404 });
    }
  }

  async #sendFile(file: AssetFile, status: 200 | 404, request: Request): Promise<Response> {
    const { method, headers: asked } = request;
    const etag = `"${file.hash}"`;
    const kept = this.#contents.get(file.blob);
    const headers = new Headers({ etag });
    if (file.contentType !== null) headers.set("content-type", file.contentType);
    if (!asked.has("authorization") && !asked.has("range")) {
      headers.set("cache-control", CACHE_CONTROL);
    }
    headers.set("cf-cache-status", kept === undefined ? "MISS" : "HIT");
    if (isNamed(asked.get("if-none-match"), etag)) {
      return new Response(null, { status: 304, headers });
    }
    const isWhole = status !== 200 || !isCurrent(asked.get("if-range"), etag);
    const range = isWhole ? undefined : rangeOf(asked.get("range"), file.size);
    if (range === null) {
      headers.set("content-range", `bytes */${file.size}`);
      return new Response(null, { status: 416, headers });
    }
    if (range !== undefined) {
      headers.set("content-range", `bytes ${range.start}-${range.end - 1}/${file.size}`);
      headers.set("accept-ranges", "bytes");
    }
    const { start, end } = range ?? { start: 0, end: file.size };
    const sent = range === undefined ? status : 206;
    headers.set("content-length", String(end - start));
    if (method === "HEAD") return new Response(null, { status: sent, headers });
    if (kept === undefined && file.size > MAX_KEPT_CONTENT_BYTES) {
      const content = await this.#hub.blob(file.blob);
      const fixed = new FixedLengthStream(end - start);
      const body = content.body as ReadableStream<Uint8Array>;
      // A client that leaves ends both; there is nobody to tell.
      void (range === undefined ? body : slice(body, range)).pipeTo(fixed.writable).catch(() => {});
      return new Response(fixed.readable, { status: sent, headers });
    }
    const content = kept ?? (await this.#load(file.blob));
    return new Response(content.subarray(start, end), { status: sent, headers });
  }

  #load(blob: string): Promise<Uint8Array> {
    return this.#contentLoads.share(blob, async () => {
      const response = await this.#hub.blob(blob);
      const content = new Uint8Array(await response.arrayBuffer());
      this.#contents.set(blob, content);
      return content;
    }).result;
  }

  async #site(manifest: string): Promise<Site> {
    const known = this.#sites.get(manifest);
    if (known !== undefined) {
      this.#sites.delete(manifest);
      this.#sites.set(manifest, known);
      return known;
    }
    return this.#manifestLoads.share(manifest, async () => {
      const response = await this.#hub.blob(manifest);
      const text = new TextDecoder().decode(await response.arrayBuffer());
      const site = new Site(JSON.parse(text) as AssetManifest);
      this.#keep(manifest, site);
      return site;
    }).result;
  }

  #keep(manifest: string, site: Site): void {
    this.#sites.set(manifest, site);
    this.#entries += site.size;
    for (const [oldest, { size }] of this.#sites) {
      if (this.#entries <= MAX_KEPT_ENTRIES || oldest === manifest) return;
      this.#sites.delete(oldest);
      this.#entries -= size;
    }
  }

  async #stateOf(versionId: string): Promise<AssetsState> {
    const known = this.#versions.get(versionId);
    if (known !== undefined) return known;
    const state = await this.#hub.assets(versionId);
    if (this.#versions.size >= MAX_VERSIONS) this.#versions.clear();
    this.#versions.set(versionId, state);
    return state;
  }
}

/** undefined: the Worker, if there is no asset. */
function firstOf({ runWorkerFirst }: AssetsState, path: string): "worker" | "assets" | undefined {
  if (typeof runWorkerFirst === "boolean") return runWorkerFirst ? "worker" : undefined;
  const { worker, assets } = placesOf(runWorkerFirst);
  const matches = (pattern: Pattern) => pattern.match(path) !== undefined;
  if (assets.some(matches)) return "assets";
  return worker.some(matches) ? "worker" : undefined;
}

interface Places {
  readonly worker: readonly Pattern[];
  readonly assets: readonly Pattern[];
}

/** By the patterns of a version's state. */
const places = new WeakMap<readonly string[], Places>();

function placesOf(patterns: readonly string[]): Places {
  let made = places.get(patterns);
  if (made === undefined) {
    const all = patterns.map((source) => ({
      isNegative: source.startsWith("!"),
      pattern: new Pattern(source.replace(/^!/, ""), false),
    }));
    const those = (negative: boolean) =>
      all.filter(({ isNegative }) => isNegative === negative).map(({ pattern }) => pattern);
    places.set(patterns, (made = { worker: those(false), assets: those(true) }));
  }
  return made;
}

function isNavigation({ takesNavigations }: AssetsState, { headers }: Request): boolean {
  return takesNavigations && headers.get("sec-fetch-mode") === "navigate";
}

/** If-None-Match: the client has it. */
function isNamed(header: string | null, etag: string): boolean {
  if (header === null) return false;
  const names = header.split(",").map((name) => name.trim().replace(/^W\//, ""));
  return names.includes(etag) || names.includes("*");
}

/** If-Range: a part fits what the client has. Dates are none that we gave. */
function isCurrent(header: string | null, etag: string): boolean {
  return header === null || header.trim() === etag;
}
