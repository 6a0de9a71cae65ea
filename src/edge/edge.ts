/**
 * All that one edge process holds: what it knows of scripts and routes, its isolates, its connections to
 * the hub and to the other edges, and the env that the dispatcher sees.
 */
import { Isolates } from "../cell/isolates.ts";
import { ScriptTable } from "../namespace/script-table.ts";
import { createDispatchNamespace } from "../namespace/user-worker.ts";
import { DEFAULT_NAMESPACE } from "../dispatcher/env.ts";
import type { Route, RoutesState, RoutingUpdate } from "../protocol/routing.ts";
import { HubClient, HubMetrics } from "./hub-client.ts";
import { Invoker } from "./invoke.ts";

/** Bindings of the edge's Worker, as the supervisor configures them. */
export interface EdgeEnv {
  readonly LOADER: WorkerLoader;
  readonly HUB: Fetcher;
  /** Where functions' `fetch` goes. */
  readonly EGRESS: Fetcher;
  readonly EDGE: {
    readonly index: number;
    readonly count: number;
  };
  /** Variables of the dispatcher. */
  readonly BASE_DOMAIN: string;
  readonly SERVER_TIMING: string;
  readonly METRICS_FLUSH_MS: string;
  /** The peer edges, PEER_0 to PEER_n. */
  readonly [peer: `PEER_${number}`]: Fetcher;
}

/** What the dispatcher finds in its env; ROUTES is missing until the hub has told them. */
export interface DispatcherBindings {
  readonly DISPATCHER: DispatchNamespace;
  readonly NAMESPACES: { get(namespace: string): DispatchNamespace };
  readonly METRICS: HubMetrics;
  readonly BASE_DOMAIN: string;
  readonly SERVER_TIMING: string;
  readonly METRICS_FLUSH_MS: string;
  ROUTES: readonly Route[] | undefined;
}

export class Edge {
  readonly isolates: Isolates;
  readonly invoker: Invoker;
  readonly dispatcherEnv: DispatcherBindings;
  readonly #hub: HubClient;
  #routesGeneration = -1;

  constructor(env: EdgeEnv) {
    const { index, count } = env.EDGE;
    const peers = Array.from({ length: count }, (_, peer) => env[`PEER_${peer}`] as Fetcher);
    this.#hub = new HubClient(env.HUB, index);
    this.isolates = new Isolates(
      env.LOADER,
      (versionId) => this.#hub.bundle(versionId),
      env.EGRESS,
    );
    this.invoker = new Invoker(new ScriptTable(), this.isolates, this.#hub, index, peers);
    const namespaces = this.#namespaces();
    this.dispatcherEnv = {
      DISPATCHER: namespaces.get(DEFAULT_NAMESPACE),
      NAMESPACES: namespaces,
      METRICS: new HubMetrics(this.#hub),
      BASE_DOMAIN: env.BASE_DOMAIN,
      SERVER_TIMING: env.SERVER_TIMING,
      METRICS_FLUSH_MS: env.METRICS_FLUSH_MS,
      ROUTES: undefined,
    };
  }

  accept({ scripts, routes }: RoutingUpdate): void {
    for (const state of scripts ?? []) this.invoker.accept(state);
    if (routes !== undefined) this.#acceptRoutes(routes);
  }

  async loadRoutes(): Promise<void> {
    this.#acceptRoutes(await this.#hub.routes());
  }

  /** Has the routes before the first request needs them, so that the hub may be away by then. */
  async ensureRoutes(): Promise<void> {
    if (this.dispatcherEnv.ROUTES !== undefined) return;
    try {
      await this.loadRoutes();
    } catch {
      // The hub is away: the next heartbeat, or the first request, tries again.
    }
  }

  #acceptRoutes({ generation, routes }: RoutesState): void {
    if (generation <= this.#routesGeneration) return;
    this.#routesGeneration = generation;
    this.dispatcherEnv.ROUTES = routes;
  }

  #namespaces(): DispatcherBindings["NAMESPACES"] {
    const made = new Map<string, DispatchNamespace>();
    return {
      get: (namespace) => {
        let dispatch = made.get(namespace);
        if (dispatch === undefined) {
          dispatch = createDispatchNamespace((call, request, facts) =>
            this.invoker.invoke(namespace, call, request, facts),
          );
          if (made.size < MAX_NAMESPACE_OBJECTS) made.set(namespace, dispatch);
        }
        return dispatch;
      },
    };
  }
}

/** Namespace names come from host names, so anybody can make one up. */
const MAX_NAMESPACE_OBJECTS = 10_000;
