/** Alarms of Durable Objects: nobody calls them, so the cell where they ran tells of them, as trace events. */
import { record, type MetricsEnv } from "../dispatcher/record.ts";
import type { FunctionName } from "../dispatcher/routes.ts";
import { isAlarm } from "../protocol/stateful.ts";
import type { TraceEvent } from "../protocol/trace.ts";
import { reasonFor } from "./events.ts";

/** Each counts as an invocation of the function. */
export function recordAlarms(
  metrics: MetricsEnv,
  ctx: ExecutionContext,
  target: FunctionName,
  events: readonly TraceEvent[],
): void {
  for (const { event, outcome, scriptVersion, wallTime } of events) {
    if (!isAlarm(event)) continue;
    const facts = { versionId: scriptVersion.id };
    const answered = outcome === "ok" ? null : reasonFor(outcome);
    const startedMs = Date.now() - wallTime;
    const request = new Request("http://alarm/");
    record(metrics, ctx, target, facts, startedMs, request, answered, "alarm");
  }
}
