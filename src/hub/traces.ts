/**
 * Takes trace events from edges: adds what only the hub knows (tags, an estimate of CPU time, stacks in terms of the
 * sources), and hands them to the object of the function, which serves tails and keeps logs.
 */
import type { TraceBatch, TraceEvent, TraceFlush } from "../protocol/trace.ts";
import type { RegistryClient } from "../registry/client.ts";
import type { Tracing } from "../registry/tracing.ts";
import type { FunctionLogs, LogBatch } from "./function-logs.ts";
import { withoutOwnFrames } from "./own-frames.ts";
import { withSourcePositions } from "./source-maps.ts";

export interface TracesDeps {
  readonly registry: Pick<RegistryClient, "tracing" | "version">;
  readonly logs: DurableObjectNamespace<FunctionLogs>;
  readonly blobs: Fetcher;
  /** The learned CPU time of one invocation; null: not known. */
  readonly costMs: (namespace: string, script: string) => number | null;
}

/** What the types that workerd derives for RPC cannot express. */
interface Logs {
  take(batch: LogBatch): Promise<void>;
}

/** Events that nobody wants any more are dropped. */
export async function ingestTraces({ batches }: TraceFlush, deps: TracesDeps): Promise<void> {
  await Promise.all(
    batches.map(async (batch) => {
      try {
        await ingest(batch, deps);
      } catch (error) {
        // Of one function; those of the others are not sent again for it.
        console.error(`trace events of ${batch.namespace}/${batch.script} lost: ${String(error)}`);
      }
    }),
  );
}

async function ingest(batch: TraceBatch, deps: TracesDeps): Promise<void> {
  const { namespace, script, dropped } = batch;
  const tracing = await deps.registry.tracing(namespace, script);
  if (tracing === null) return;
  const { namespaceId, isTailed, isNamespaceTailed } = tracing;
  const costMs = deps.costMs(namespace, script) ?? 0;
  const events = await Promise.all(
    batch.events.map(async (event) =>
      withSourcePositions(completed(event, tracing, costMs), deps.registry, deps.blobs),
    ),
  );
  const objectOf = (name: string) => deps.logs.getByName(name) as unknown as Logs;
  const kept = toKeep(events, tracing);
  if (isTailed || kept.length > 0) {
    await objectOf(`${namespaceId}/${script}`).take({ events, dropped, kept });
  }
  if (isNamespaceTailed) await objectOf(namespaceId).take({ events, dropped, kept: [] });
}

function completed(event: TraceEvent, { tags, isDispatch }: Tracing, costMs: number): TraceEvent {
  const { dispatchNamespace, ...rest } = event;
  return {
    ...rest,
    ...(isDispatch && dispatchNamespace !== undefined && { dispatchNamespace }),
    scriptTags: tags,
    exceptions: event.exceptions.map(({ stack, ...thrown }) => ({
      ...thrown,
      ...(stack !== undefined && { stack: withoutOwnFrames(stack) }),
    })),
    // No invocation used more than it lasted; the clock has steps of a millisecond.
    cpuTime: event.cpuTime > 0 ? event.cpuTime : Math.round(Math.min(costMs, event.wallTime + 1)),
  };
}

function toKeep(events: readonly TraceEvent[], { logs }: Tracing): number[] {
  if (logs === null) return [];
  return [...events.keys()].filter((index) => {
    const event = events[index] as TraceEvent;
    const says = event.logs.length > 0 || event.exceptions.length > 0;
    return (says || logs.invocationLogs) && Math.random() < logs.share;
  });
}
