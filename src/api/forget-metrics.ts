/**
 * Drops the metrics and logs of deleted functions, and the data points of deleted namespaces, after the answer. A flush that an edge still holds makes a few
 * numbers come back under the old name; a failure leaves them all. Neither is worth failing the deletion.
 */
import { forEachBounded } from "../hub/for-each-bounded.ts";
import type { ApiContext } from "./context.ts";

const MAX_CONCURRENT = 16;

export function forgetMetrics(
  c: ApiContext,
  namespaceId: string,
  scripts: readonly string[],
): void {
  const forgotten = forEachBounded(scripts, MAX_CONCURRENT, async (script) => {
    await c.env.FUNCTION_METRICS.getByName(`${namespaceId}/${script}`).destroy();
    await c.env.FUNCTION_LOGS.getByName(`${namespaceId}/${script}`).destroy();
  });
  afterAnswer(c, forgotten, "metrics of deleted functions");
}

export function forgetDataPoints(c: ApiContext, namespaceId: string): void {
  const forgotten = c.env.ANALYTICS.getByName(namespaceId).destroy();
  afterAnswer(c, forgotten, "data points of a deleted namespace");
}

function afterAnswer(c: ApiContext, forgotten: Promise<void>, what: string): void {
  c.executionCtx.waitUntil(
    forgotten.catch((error: unknown) => console.error(`${what} not dropped: ${String(error)}`)),
  );
}
