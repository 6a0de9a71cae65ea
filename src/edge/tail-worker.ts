/** Calls a Tail Worker as a function is called: where it lives, under its limits, and recorded. */
import { reasonOf } from "../dispatcher/errors.ts";
import { record, type MetricsEnv } from "../dispatcher/record.ts";
import type { InvocationFacts } from "../namespace/user-worker.ts";
import type { TraceEvent } from "../protocol/trace.ts";
import type { Invoker } from "./invoke.ts";

export interface TailConsumer {
  readonly namespace: string;
  readonly script: string;
}

export interface TailWorkerOptions {
  readonly invoker: Invoker;
  readonly metrics: MetricsEnv;
}

/** Never rejects: whoever caused the events is none the worse for it. */
export async function callTailWorker(
  { invoker, metrics }: TailWorkerOptions,
  { namespace, script }: TailConsumer,
  events: readonly TraceEvent[],
  ctx: ExecutionContext,
): Promise<void> {
  const target = { namespace, script };
  const facts: InvocationFacts = { versionId: "" };
  const request = new Request("http://tail/", { method: "POST", body: JSON.stringify(events) });
  const call = { script, args: undefined, options: undefined, event: "tail" } as const;
  const startedMs = Date.now();
  try {
    const response = await invoker.invoke(namespace, call, request, facts);
    record(metrics, ctx, target, facts, startedMs, request, response, "tail");
  } catch (error) {
    record(metrics, ctx, target, facts, startedMs, request, reasonOf(error), "tail");
  }
}
