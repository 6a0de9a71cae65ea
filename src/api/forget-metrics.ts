/**
 * Drops the metrics and logs of deleted functions, after the answer. A flush that an edge still holds makes a few
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
  afterwards(c, forgotten);
}

/** What is kept of a deleted namespace as a whole: data points, and connections of its tails. */
export function forgetNamespace(c: ApiContext, namespaceId: string): void {
  afterwards(c, c.env.ANALYTICS.getByName(namespaceId).destroy());
  afterwards(c, c.env.FUNCTION_LOGS.getByName(namespaceId).destroy());
}

function afterwards(c: ApiContext, forgotten: Promise<void>): void {
  c.executionCtx.waitUntil(
    forgotten.catch((error: unknown) => {
      console.error(`metrics of deleted functions not dropped: ${String(error)}`);
    }),
  );
}
