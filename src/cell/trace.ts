/**
 * Trace events of the isolates of a process, from what the runtime tells of them. Only isolates of a traced variant
 * (protocol/outbound.ts) are loaded with a Tail; it costs a good tenth of their CPU time.
 */
import type { TraceEvent, TracedHandler, TraceException, TraceLog } from "../protocol/trace.ts";
import { MARKER } from "../protocol/ledger.ts";
import { CONTROL_ENTRYPOINT } from "./wrapper.ts";

/** Not forgeable: isolates.ts makes them, the runtime keeps them from the function. */
export interface TailProps {
  readonly namespace: string;
  readonly script: string;
  readonly versionId: string;
  /** Of a marked isolate (wrapper.ts): the lines that it writes are none of the function's, and secret. */
  readonly token?: string;
  /** In a cell: shows that it may tell of this function. */
  readonly grant?: string;
}

/** What the runtime tells of an invocation; its JSON is redacted. */
type RuntimeTrace = Omit<TraceEvent, "scriptName" | "scriptVersion"> & {
  readonly logs: readonly (TraceLog & { readonly errorInfo?: unknown })[];
};

/** Calls by the trusted code beside the isolate are none of the function's. */
export function traceEvents(
  items: readonly TraceItem[],
  { namespace, script, versionId, token }: TailProps,
  nowMs: number,
): TraceEvent[] {
  return items
    .filter(({ entrypoint }) => entrypoint !== CONTROL_ENTRYPOINT)
    .map((item) => toEvent(JSON.parse(JSON.stringify(item)) as RuntimeTrace, token, nowMs))
    .map((event) => ({
      ...event,
      scriptName: script,
      scriptVersion: { id: versionId },
      dispatchNamespace: namespace,
    }));
}

function toEvent(trace: RuntimeTrace, token: string | undefined, nowMs: number) {
  const { entrypoint, logs, exceptions, diagnosticsChannelEvents, eventTimestamp } = trace;
  const event = handlerOf(trace.event);
  return {
    outcome: outcomeOf(trace, event),
    scriptTags: [],
    ...(entrypoint === undefined || entrypoint === null ? {} : { entrypoint }),
    logs: logs
      .filter(({ message }) => token === undefined || !isMarker(message, token))
      .map(({ message, level, timestamp }): TraceLog => ({ message, level, timestamp })),
    exceptions: exceptions.map((exception): TraceException => exception),
    diagnosticsChannelEvents,
    eventTimestamp: eventTimestamp ?? nowMs,
    wallTime: Math.max(0, nowMs - (eventTimestamp ?? nowMs)),
    cpuTime: 0,
    truncated: trace.truncated,
    executionModel: trace.executionModel,
    event,
  };
}

function isMarker(message: unknown, token: string): boolean {
  return Array.isArray(message) && message.length === 1 && message[0] === MARKER + token;
}

/** Tail Workers are called as if `tail` was a method. */
function handlerOf(event: TracedHandler | null): TracedHandler | null {
  if (event === null || event === undefined) return null;
  if ("rpcMethod" in event && event.rpcMethod === "tail") return { consumedEvents: [] };
  return event;
}

/** To the runtime all is well where the caller went away before there was a response. */
function outcomeOf({ outcome, exceptions }: RuntimeTrace, event: TracedHandler | null) {
  const isUnanswered = event !== null && "request" in event && !("response" in event);
  return outcome === "ok" && isUnanswered && exceptions.length === 0 ? "canceled" : outcome;
}
