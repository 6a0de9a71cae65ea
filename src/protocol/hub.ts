/**
 * The private HTTP interfaces between our own processes, all over unix sockets. One place says what is
 * called what; bodies are JSON unless said otherwise.
 *
 * hub, as seen by an edge (`edge-hub/edge-hub.sock`):
 *   GET  /resolve?namespace=&script=   -> ScriptState
 *   GET  /routes                       -> RoutesState
 *   GET  /bundles/{versionId}          -> encoded Bundle (bundle.ts); 404 if there is none
 *   GET  /assets?version=              -> AssetsState; 404 if the version has none
 *   GET  /blobs/{hash}                 -> a manifest of assets (assets.ts), or the content of one
 *   GET  /cell?version=                -> CellAssignment: the dedicated cell of the version, made if need be; 404: no such
 *                                      version, 409: its place is another one, 503: no cell is free,
 *                                      507: no room for its objects
 *   GET  /object-owner?key=            -> ObjectOwner (objects.ts), or null: no script has that class
 *   POST /telemetry?edge=N             TelemetryFlush -> TelemetryResult
 *   POST /analytics                    AnalyticsFlush (analytics.ts) -> 204
 *   POST /traces                       TraceFlush -> 204
 *
 * hub, as seen by the supervisor (`hub/admin.sock`):
 *   POST /bootstrap                    Bootstrap -> BootstrapResult; idempotent
 *   GET  /hostnames                    -> string[]: every name the TLS certificate should cover
 *   POST /reseal                       Reseal -> ResealResult once all secrets are under the newest key (from `skep key rotate`)
 *   POST /incident                     Incident -> 204 once its consequences are stored and pushed
 *   GET  /bundles/{versionId}          -> encoded Bundle for a stateful cell: its main module is the start module (stateful.ts)
 *   GET  /objects/{scriptId}           -> CellRequest of a script with Durable Objects, an alarm of which is due; null: there is none
 *
 * supervisor, as seen by the hub (`hub/supervisor.sock`):
 *   POST /routing                      RoutingUpdate -> 204 once every live edge has taken it or is gone
 *   POST /certificate                  re-issues the certificate for the names of GET /hostnames -> 204
 *   POST /trial/replace                kills the trial cell -> TrialLoss when its successor is ready
 *   GET  /cpu?edge=N                   -> CpuClock
 *   POST /cells/assign                 CellRequest -> CellAssignment; 507: its objects are beyond their quota
 *   GET  /processes                    -> ProcessCounters
 *   POST /objects/changes              ObjectChanges (objects.ts) -> 204 once they are done; idempotent
 *   DELETE /objects?script=<id>&key=&id=   one object with what it has stored -> 204; idempotent
 *   GET  /objects?script=<id>&key=&after=&limit=   -> ObjectList; `after`: an id, or empty
 *
 * edge, as seen by the supervisor (`edges/<life>/control.sock`):
 *   POST /routing                      RoutingUpdate -> 204
 *   POST /cells                        CellNews -> 204
 *   POST /heartbeat                    -> EdgeHealth; also ends isolates that may end and delivers metrics
 *
 * cell, as seen by an edge (`cells/cell-N.sock`, which leads to `cells/<life>/cell.sock`):
 *   any request with x-skep-call       an invocation (hop.ts); answered `missing` if the version is not loaded
 *   GET  /has?isolate=&life=           -> 204 if it is loaded, else 404; 409 from a later life; counts as a use of it
 *   POST /load?namespace=&script=&minWarm=&variant=&life=   (409 likewise) encoded Bundle -> CellLoad; at once if it is loaded.
 *                                      `variant`: JSON (outbound.ts)
 * and by the supervisor (`cells/<life>/control.sock`):
 *   POST /heartbeat                    -> EdgeHealth
 *   POST /hang-up                      closes all WebSockets (stateful cells) -> 204
 *   POST /trial                        encoded Bundle -> TrialResult (the trial cell; asked by the hub)
 */
import type { IncidentKind } from "./incident.ts";

export interface Bootstrap {
  readonly accountId: string;
  readonly accountName: string;
  /** The namespace to create if the account is new. */
  readonly namespace: string;
  /** SHA-256 of the operator's API token, hex. */
  readonly tokenHash: string;
}

export interface BootstrapResult {
  /** True exactly once per data directory: the account did not exist before this call. */
  readonly created: boolean;
  /** Ids of keys that stored secrets need, and the hub does not have. */
  readonly missingKeys: readonly string[];
}

export interface Reseal {
  /** Base64 of 32 bytes, from now on the newest; null: the hub has it already. */
  readonly key: string | null;
}

export interface ResealResult {
  /** How many secrets were under another key, all versions counted. */
  readonly resealed: number;
}

/** CPU time that one edge process has used so far. `life` changes when the process is replaced. */
export interface CpuClock {
  readonly life: number;
  readonly cpuMs: number;
}

export interface EdgeHealth {
  readonly loadedIsolates: number;
  /** Of a cell: for how long no isolate in it was of use; 0: one is busy or must stay; absent: none is loaded. */
  readonly idleMs?: number;
}

/** Whether a version starts. `startupTimeMs` covers compiling and top-level code. */
export type TrialResult =
  | {
      readonly ok: true;
      readonly startupTimeMs: number;
      /** Handlers of the default export, such as `fetch`, `scheduled`. */
      readonly handlers: readonly string[];
      /** Names of the other exported classes that are entrypoints or Durable Objects. */
      readonly exports: readonly string[];
    }
  | { readonly ok: false; readonly message: string };

/** What ended the trial cell: null if the supervisor had no cause to kill it before it was asked to. */
export interface TrialLoss {
  readonly kind: IncidentKind | null;
}

/** What became of a bundle that was sent to a cell. Times in milliseconds. */
export type CellLoad =
  | { readonly ok: true; readonly loadMs: number }
  /** The runtime's own words: `Failed to start Worker…`. */
  | {
      readonly ok: false;
      readonly message: string;
      readonly stack?: string;
      /** The function's code threw it. */
      readonly isOwn?: boolean;
    };

/** Counters since the supervisor started, for `/metrics` and `skep status`. */
export interface ProcessCounters {
  readonly edges: number;
  readonly cells: {
    readonly probation: number;
    readonly dedicated: number;
    readonly spare: number;
  };
  /** By `<process>:<kind>`, such as `cell:cpu`. */
  readonly incidents: Readonly<Record<string, number>>;
}
