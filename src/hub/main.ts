/**
 * The hub's Worker: all state, no tenant code. The default export is the public API; `EdgeGate` and
 * `AdminGate` are served on unix sockets of their own, which is all that protects them.
 */
import { app } from "../api/app.ts";
import type { HubEnv } from "./env.ts";

export { AnalyticsStore } from "../analytics/store.ts";
export { FunctionMetrics } from "../dispatcher/function-metrics.ts";
export { Registry } from "../registry/registry.ts";
export { AdminGate } from "./admin-gate.ts";
export { EdgeGate } from "./edge-gate.ts";
export { FunctionLogs } from "./function-logs.ts";

export default {
  fetch: (request, env, ctx) => app.fetch(request, env, ctx),
} satisfies ExportedHandler<HubEnv>;
