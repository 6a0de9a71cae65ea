/**
 * The private HTTP interfaces between our own processes, all over unix sockets. One place says what is
 * called what; bodies are JSON unless said otherwise.
 *
 * hub, as seen by an edge (`edge-hub.sock`):
 *   GET  /resolve?namespace=&script=   -> ScriptState
 *   GET  /routes                       -> RoutesState
 *   GET  /bundles/{versionId}          -> encoded Bundle (bundle.ts); 404 if there is none
 *   POST /telemetry?edge=N             TelemetryFlush -> TelemetryResult
 *
 * hub, as seen by the supervisor (`admin.sock`):
 *   POST /bootstrap                    Bootstrap -> BootstrapResult; idempotent
 *   GET  /hostnames                    -> string[]: every name the TLS certificate should cover
 *
 * supervisor, as seen by the hub (`supervisor.sock`):
 *   POST /routing                      RoutingUpdate -> 204 once every live edge has taken it or is gone
 *   POST /certificate                  re-issues the certificate for the names of GET /hostnames -> 204
 *   POST /trial/replace                kills the trial cell and answers 204 when its successor is ready
 *   GET  /cpu?edge=N                   -> CpuClock
 *
 * edge, as seen by the supervisor (`edge-N.<life>.sock`):
 *   POST /routing                      RoutingUpdate -> 204
 *   POST /heartbeat                    -> EdgeHealth; also ends isolates that may end and delivers metrics
 *
 * trial cell, as seen by the hub (`trial.sock`):
 *   POST /trial                        encoded Bundle -> TrialResult
 */

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
}

/** CPU time that one edge process has used so far. `life` changes when the process is replaced. */
export interface CpuClock {
  readonly life: number;
  readonly cpuMs: number;
}

export interface EdgeHealth {
  readonly loadedIsolates: number;
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
