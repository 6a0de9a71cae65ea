/**
 * The dispatcher: an ordinary Worker that receives every request, finds the function it is for and
 * forwards it through a dispatch namespace. It runs as it is on Cloudflare, on a Skep server and in
 * Miniflare; wrangler.toml at the root deploys it.
 *
 * Warm path: one map lookup for the route, the namespace's `get().fetch()`, a few counters. Nothing is
 * awaited but the function.
 */
import { factsOf } from "../namespace/user-worker.ts";
import { bindingName, routesOf, type DispatcherEnv } from "./env.ts";
import { platformError, reasonOf } from "./errors.ts";
import { limitOf, type LimitError } from "../protocol/dispatch-errors.ts";
import { platform } from "./platform.ts";
import { record } from "./record.ts";
import { withServerTiming } from "./server-timing.ts";

export { FunctionMetrics } from "./function-metrics.ts";

export default {
  async fetch(request, env, ctx) {
    const target = routesOf(env).match(request.url);
    if (target === null) return platform.fetch(request, env, ctx);
    const namespace =
      env.NAMESPACES?.get(target.namespace, target.by) ?? env[bindingName(target.namespace)];
    if (namespace === undefined) return platformError("notFound", request);

    const worker = namespace.get(target.script);
    const startedMs = Date.now();
    try {
      const response = await worker.fetch(request);
      const facts = factsOf(worker);
      record(env, ctx, target, facts, startedMs, request, response);
      if (facts?.cold === undefined || env.SERVER_TIMING === "off") return response;
      return withServerTiming(response, facts.cold);
    } catch (error) {
      const reason = reasonOf(error);
      record(env, ctx, target, factsOf(worker), startedMs, request, reason);
      return platformError(
        reason,
        request,
        limitOf(error) === reason ? (error as LimitError) : undefined,
      );
    }
  },
} satisfies ExportedHandler<DispatcherEnv>;
