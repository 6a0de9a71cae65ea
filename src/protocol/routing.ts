/**
 * What an edge knows of the registry: which version of which script gets a request. The hub answers
 * `resolve` when an edge meets a script for the first time and pushes a `RoutingUpdate` on every change.
 *
 * Each state carries the registry's `generation`, which grows by one with every change. An edge keeps,
 * per script and for the routes, the state with the highest generation it has seen, so that an answer
 * that was overtaken by a push is discarded.
 */
import type { Limits } from "./limits.ts";
import type { OutboundWorker } from "./outbound.ts";
import type { Place } from "./placement.ts";

/** What an edge has to know of a version that gets traffic. */
export interface VersionState {
  readonly versionId: string;
  readonly place: Place;
  readonly limits: Limits;
  /** Its static assets; absent: it has none. */
  readonly assets?: AssetsState;
}

export interface VersionShare extends VersionState {
  /** 0 to 100; those of a script add up to 100. One with 0 is reached by those who ask for it. */
  readonly percentage: number;
}

/** How the static assets of a version are served. Names and meanings are those of Cloudflare's `assets` config. */
export interface AssetsState {
  /** SHA-256 of the manifest's blob, hex. */
  readonly manifest: string;
  readonly htmlHandling: string;
  readonly notFoundHandling: string;
  /** `true`, or path patterns for which the Worker comes first. */
  readonly runWorkerFirst: boolean | readonly string[];
  /** A navigation of a browser that finds no asset is for `notFoundHandling` and not for the Worker. */
  readonly takesNavigations: boolean;
  /** There is no code: what is not an asset is not found. */
  readonly isOnly: boolean;
}

/** Who wants the trace events (protocol/trace.ts) of a script's invocations. */
export interface Traced {
  /** The hub: for logs that are kept, or for somebody who tails right now. 0 to 1: the share of invocations. */
  readonly hub: number;
  /** Tail Workers. */
  readonly consumers: readonly { readonly namespace: string; readonly script: string }[];
}

/** The state of one script name. `versionId` null: there is no such script (any more). */
export interface ScriptState {
  readonly generation: number;
  readonly namespace: string;
  readonly script: string;
  readonly versionId: string | null;
  /** What follows is there if there is a version; `outbound` without one, too. */
  readonly place?: Place;
  readonly limits?: Limits;
  /** Of its classes of Durable Objects (objects.ts); absent: it has none. */
  readonly objectKeys?: readonly string[];
  /** Of the namespace: its functions see `request.cf`. */
  readonly trusted?: boolean;
  /** Of the namespace: gets every fetch of its functions. */
  readonly outbound?: OutboundWorker;
  /** There, if more than one version gets traffic; `versionId` and what belongs to it are the largest share's. */
  readonly shares?: readonly VersionShare[];
  /** Of `versionId`. */
  readonly assets?: AssetsState;
  /** It is a Worker of the account, outside of dispatch namespaces: those who dispatch do not reach it. */
  readonly isAccountWorker?: true;
  /** False: its own host name leads to nothing. Routes and bindings do. Absent: true. */
  readonly workersDev?: boolean;
  /** This name is that of a version's preview: the script whose version it is. */
  readonly previewOf?: string;
  /** Absent: nobody. */
  readonly traced?: Traced;
  /** Load it before taking it into use: set in the push that follows a deploy. */
  readonly prewarm?: boolean;
}

/** The versions that may be called by this name. */
export function versionsOf(state: ScriptState): readonly { versionId: string; place?: Place }[] {
  const { versionId, place, shares } = state;
  if (shares !== undefined) return shares;
  return versionId === null ? [] : [place === undefined ? { versionId } : { versionId, place }];
}

/** A custom route. Patterns have Cloudflare's syntax: `example.com/api/*`, `*.example.com/*`. */
export interface Route {
  readonly id: string;
  readonly pattern: string;
  readonly namespace: string;
  /** null: requests that match go to no function (the host is opted out). */
  readonly script: string | null;
}

export interface RoutesState {
  readonly generation: number;
  readonly routes: readonly Route[];
}

/** Body of `POST /routing`, hub -> supervisor -> every live edge. Absent members are unchanged. */
export interface RoutingUpdate {
  readonly scripts?: readonly ScriptState[];
  readonly routes?: RoutesState;
}
