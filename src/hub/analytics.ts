/** Takes the data points of an edge's functions, and stores those of each namespace. */
import type { AnalyticsFlush } from "../protocol/analytics.ts";
import { registryOf } from "../registry/client.ts";
import type { HubEnv } from "./env.ts";

/** Points of namespaces that are gone are dropped. */
export async function storePoints({ points }: AnalyticsFlush, env: HubEnv): Promise<void> {
  for (const [name, own] of Map.groupBy(points, ({ namespace }) => namespace)) {
    const id = await registryOf(env).namespaceId(name);
    if (id !== null) await env.ANALYTICS.getByName(id).write(own);
  }
}
