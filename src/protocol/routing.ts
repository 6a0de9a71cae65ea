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

/** The state of one script name. `versionId` null: there is no such script (any more). */
export interface ScriptState {
  readonly generation: number;
  readonly namespace: string;
  readonly script: string;
  readonly versionId: string | null;
  /** What follows is there if there is a version. */
  readonly place?: Place;
  readonly limits?: Limits;
  /** Of the namespace: its functions see `request.cf`. */
  readonly trusted?: boolean;
  /** Of the namespace: gets every fetch of its functions. */
  readonly outbound?: OutboundWorker;
  /** Load it before taking it into use: set in the push that follows a deploy. */
  readonly prewarm?: boolean;
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
