/** What the Registry object is given, part of the hub's `Env`. */
import type { FunctionMetrics } from "../dispatcher/function-metrics.ts";
import type { PlatformLimits } from "../protocol/limits.ts";
import type { CellCounts, Isolation } from "../protocol/placement.ts";

/** What the operator decided for all functions. */
export interface Policy {
  readonly limits: PlatformLimits;
  /** Of namespaces that have none of their own. */
  readonly isolation: Isolation;
  readonly cells: CellCounts;
}

export interface RegistryEnv {
  /** Writable disk service with one file per blob: `PUT|GET|DELETE http://blobs/<name>`. */
  readonly BLOBS: Fetcher;
  /** One instance per function, named `<namespaceId>/<script>`. */
  readonly FUNCTION_METRICS: DurableObjectNamespace<FunctionMetrics>;
  /** `supervisor.sock`, see src/protocol/hub.ts. */
  readonly SUPERVISOR: Fetcher;
  /** `trial.sock`, see src/protocol/hub.ts. */
  readonly TRIAL: Fetcher;
  /** `store-control/control.sock`, see src/protocol/store.ts. */
  readonly STORE: Fetcher;
  readonly PLATFORM: Policy;
}
