/** Everything the hub process is given. The supervisor's workerd configuration supplies each of these. */
import type { AnalyticsStore } from "../analytics/store.ts";
import type { Policy, RegistryEnv } from "../registry/env.ts";
import type { FunctionLogs } from "./function-logs.ts";
import type { Registry } from "../registry/registry.ts";

export interface Platform extends Policy {
  /** Functions answer at `<script>.<namespace>.<baseDomain>`. */
  readonly baseDomain: string;
  /** Where this API is reached, such as `http://127.0.0.1:8788/client/v4`. */
  readonly apiUrl: string;
  readonly httpPort: number;
  readonly httpsPort: number;
}

export interface HubEnv extends RegistryEnv {
  /** One instance, named `registry`. */
  readonly REGISTRY: DurableObjectNamespace<Registry>;
  /** One instance per namespace, named by its id. */
  readonly ANALYTICS: DurableObjectNamespace<AnalyticsStore>;
  /** One instance per function, named as above; with tails of a whole namespace: `<namespaceId>`. */
  readonly FUNCTION_LOGS: DurableObjectNamespace<FunctionLogs>;
  /** The keys that seal secrets when this process starts (src/registry/seal.ts, secret-keys.ts). */
  readonly SECRET_KEY: string;
  readonly PLATFORM: Platform;
}
