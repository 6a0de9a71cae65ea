/**
 * All that one edge process holds: what it knows of scripts and routes, its isolates, its connections to
 * the hub and to the other edges, and the env that the dispatcher sees.
 */
import { waitUntil } from "cloudflare:workers";
import type { BindingProps } from "../cell/bindings.ts";
import { Isolates } from "../cell/isolates.ts";
import { HybridKeepAlive } from "../cell/keep-alive-hybrid.ts";
import { Ledger } from "../cell/ledger.ts";
import type { OutboundProps } from "../cell/outbound.ts";
import type { TailProps } from "../cell/trace.ts";
import type { ScriptEntry } from "../namespace/script-entry.ts";
import { ScriptTable } from "../namespace/script-table.ts";
import { createDispatchNamespace, type CalledBy } from "../namespace/user-worker.ts";
import { DEFAULT_NAMESPACE } from "../dispatcher/env.ts";
import type { CellAssignment, CellNews } from "../protocol/incident.ts";
import type { ObjectOwner } from "../protocol/objects.ts";
import type { CellCounts } from "../protocol/placement.ts";
import type { Route, RoutesState, RoutingUpdate } from "../protocol/routing.ts";
import { Analytics } from "./analytics.ts";
import { Assets } from "./assets/assets.ts";
import type { TraceEvent } from "../protocol/trace.ts";
import { CellCalls } from "./call-cell.ts";
import { EdgeCalls } from "./call-edge.ts";
import { Cells } from "./cells.ts";
import { HubClient, HubMetrics } from "./hub-client.ts";
import { IncidentLog } from "./incident-log.ts";
import { Grants } from "../protocol/grants.ts";
import { Invoker } from "./invoke.ts";
import { CellLoader } from "./load-cell.ts";
import { Once } from "./once.ts";
import { RateLimits } from "./rate-limits.ts";
import { Routing } from "./routing.ts";
import { StoreCalls } from "./store-calls.ts";
import { callTailWorker, type TailConsumer } from "./tail-worker.ts";
import { Traces } from "./traces.ts";

/** Bindings of the edge's Worker, as the supervisor configures them. */
export interface EdgeEnv {
  readonly LOADER: WorkerLoader;
  readonly HUB: Fetcher;
  /** `store.sock`. */
  readonly STORE: Fetcher;
  /** `databases.sock`. */
  readonly DATABASES: Fetcher;
  /** Where functions' `fetch` goes. */
  readonly EGRESS: Fetcher;
  readonly EDGE: {
    readonly index: number;
    readonly count: number;
    readonly cells: CellCounts;
    readonly maxIsolates: number;
  };
  /** Of grants, hex; the same in all edges. */
  readonly GRANT_KEY: string;
  /** Of this process's ledger, hex. */
  readonly LEDGER_KEY: string;
  /** Variables of the dispatcher. */
  readonly BASE_DOMAIN: string;
  readonly SERVER_TIMING: string;
  readonly METRICS_FLUSH_MS: string;
  /** The peer edges, PEER_0 to PEER_n. */
  readonly [peer: `PEER_${number}`]: Fetcher;
  /** CELL_0 to CELL_n, by cell index. */
  readonly [cell: `CELL_${number}`]: Fetcher;
}

/** What the dispatcher finds in its env; ROUTES is missing until the hub has told them. */
export interface DispatcherBindings {
  readonly DISPATCHER: DispatchNamespace;
  readonly NAMESPACES: { get(namespace: string, by?: CalledBy): DispatchNamespace };
  readonly METRICS: HubMetrics;
  readonly BASE_DOMAIN: string;
  readonly SERVER_TIMING: string;
  readonly METRICS_FLUSH_MS: string;
  ROUTES: readonly Route[] | undefined;
}

export class Edge {
  readonly isolates: Isolates;
  readonly assets: Assets;
  readonly invoker: Invoker;
  readonly traces: Traces;
  readonly dispatcherEnv: DispatcherBindings;
  readonly rateLimits: RateLimits;
  readonly analytics: Analytics;
  readonly grants: Grants;
  readonly store: StoreCalls;
  readonly #cells: Cells;
  readonly #incidents = new IncidentLog();
  readonly #hub: HubClient;
  readonly #routing: Routing;
  #routesGeneration = -1;

  /**
   * `outbound` makes the way out of an isolate, `bind` its bindings that are objects, `tail` what gets its trace
   * events.
   */
  constructor(
    env: EdgeEnv,
    outbound: (props: OutboundProps) => Fetcher,
    bind: (props: BindingProps) => unknown,
    tail: (props: TailProps) => Fetcher,
  ) {
    const { index: edgeIndex, count: edgeCount, cells: cellCounts } = env.EDGE;
    const peers = Array.from({ length: edgeCount }, (_, peer) => env[`PEER_${peer}`] as Fetcher);
    const fetchers = Array.from(
      { length: cellCounts.total },
      (_, cell) => env[`CELL_${cell}`] as Fetcher,
    );
    this.rateLimits = new RateLimits(edgeIndex, peers);
    const keepAlive = (work: Promise<unknown>) => waitUntil(work);
    const hub = new HubClient(env.HUB, edgeIndex);
    this.analytics = new Analytics(hub, keepAlive);
    const owners = new Once<ObjectOwner | null>(keepAlive);
    const assignments = new Once<CellAssignment>(keepAlive);
    const cells = new Cells(
      cellCounts,
      (versionId) => assignments.share(versionId, () => hub.cell(versionId)).result,
    );
    const bundle = (versionId: string) => hub.bundle(versionId);
    const incidents = this.#incidents;
    this.grants = new Grants(env.GRANT_KEY);
    this.store = new StoreCalls(env.STORE, env.DATABASES, this.grants);
    const loader = new CellLoader({ cells, fetchers, bundle, grants: this.grants, keepAlive });
    const isolates = new Isolates({
      loader: env.LOADER,
      ledger: new Ledger(env.LEDGER_KEY),
      keepAlive: new HybridKeepAlive(),
      background: keepAlive,
      maxIsolates: env.EDGE.maxIsolates,
      outbound,
      bind,
      tail,
    });
    this.assets = new Assets(hub, keepAlive);
    const scripts = new ScriptTable();
    const routing = new Routing({
      scripts,
      isolates,
      cells,
      loader,
      hub,
      grants: this.grants,
      edgeIndex,
      edgeCount,
      keepAlive,
    });
    const refresh = async ({ state }: ScriptEntry) => {
      await routing.resolve(state.namespace, state.script);
    };
    this.traces = new Traces({
      scripts,
      resolve: (namespace, script) => routing.resolve(namespace, script),
      send: (batches) => hub.traces({ batches }),
      callTail: (consumer, events, ctx) => this.#callTail(consumer, events, ctx),
    });
    this.invoker = new Invoker({
      scripts,
      isolates,
      assets: this.assets,
      edges: new EdgeCalls({
        isolates,
        edgeIndex,
        peers,
        incidents,
        load: (entry, versionId, variant) => routing.load(entry, versionId, variant),
        refresh,
      }),
      cells: new CellCalls({ cells, loader, fetchers, incidents, refresh }),
      edgeCount,
      traces: this.traces,
      resolve: (namespace, script) => routing.resolve(namespace, script),
      ownerOf: (key) => owners.share(key, () => hub.objectOwner(key)).result,
    });
    this.#hub = hub;
    this.#routing = routing;
    this.isolates = isolates;
    this.#cells = cells;
    const namespaces = this.#namespaces();
    this.dispatcherEnv = {
      DISPATCHER: namespaces.get(DEFAULT_NAMESPACE),
      NAMESPACES: namespaces,
      METRICS: new HubMetrics(hub),
      BASE_DOMAIN: env.BASE_DOMAIN,
      SERVER_TIMING: env.SERVER_TIMING,
      METRICS_FLUSH_MS: env.METRICS_FLUSH_MS,
      ROUTES: undefined,
    };
  }

  /** Resolves once this edge acts by it. */
  async accept({ scripts, routes }: RoutingUpdate): Promise<void> {
    await this.#routing.take(scripts ?? []);
    if (routes !== undefined) this.#acceptRoutes(routes);
  }

  acceptNews(news: CellNews): void {
    this.#cells.accept(news);
    if (news.incident !== undefined) this.#incidents.accept(news.incident);
  }

  /** Called at intervals, out of the way of requests; by its answer this process is known to be well. */
  async keepHouse(): Promise<void> {
    waitUntil(this.#routing.keepWarm());
    await Promise.all([
      this.ensureRoutes(),
      this.isolates.sweep(Date.now()),
      this.dispatcherEnv.METRICS.flush(),
      this.analytics.flush(),
    ]);
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

  #callTail(consumer: TailConsumer, events: readonly TraceEvent[], ctx: ExecutionContext) {
    const parts = { invoker: this.invoker, metrics: this.dispatcherEnv };
    return callTailWorker(parts, consumer, events, ctx);
  }

  #acceptRoutes({ generation, routes }: RoutesState): void {
    if (generation <= this.#routesGeneration) return;
    this.#routesGeneration = generation;
    this.dispatcherEnv.ROUTES = routes;
  }

  #namespaces(): DispatcherBindings["NAMESPACES"] {
    const made = {
      host: new Map<string, DispatchNamespace>(),
      route: new Map<string, DispatchNamespace>(),
      dispatch: new Map<string, DispatchNamespace>(),
    };
    return {
      get: (namespace, by = "dispatch") => {
        const known = made[by];
        let dispatch = known.get(namespace);
        if (dispatch === undefined) {
          dispatch = createDispatchNamespace(
            (call, request, facts) => this.invoker.invoke(namespace, call, request, facts),
            (script, given) => this.invoker.checkOutbound(namespace, script, given),
            by,
          );
          if (known.size < MAX_NAMESPACE_OBJECTS && namespace.length <= MAX_NAMESPACE_LENGTH) {
            known.set(namespace, dispatch);
          }
        }
        return dispatch;
      },
    };
  }
}

/** Namespace names come from host names, so anybody can make one up. */
const MAX_NAMESPACE_OBJECTS = 10_000;
const MAX_NAMESPACE_LENGTH = 255;
