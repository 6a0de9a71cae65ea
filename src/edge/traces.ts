/**
 * The trace events of functions that ran here, or in cells: on to the hub, and to Tail Workers. Of invocations that
 * were killed nobody else can tell, so their events are made here.
 */
import type { ScriptEntry } from "../namespace/script-entry.ts";
import type { ScriptTable } from "../namespace/script-table.ts";
import type { InvocationFacts } from "../namespace/user-worker.ts";
import { isLost, limitOf } from "../protocol/dispatch-errors.ts";
import type { EgressCall } from "../protocol/egress.ts";
import type { Outcome } from "../protocol/telemetry.ts";
import { TraceBuffer } from "../protocol/trace-buffer.ts";
import {
  isOfTailWorker,
  redactedHeaders,
  redactedUrl,
  type TraceBatch,
  type TraceEvent,
  type TraceFlush,
} from "../protocol/trace.ts";
import { waitUntil } from "cloudflare:workers";
import type { MetricsEnv } from "../dispatcher/record.ts";
import { notGranted, type Grants } from "../protocol/grants.ts";
import { recordAlarms } from "./alarms.ts";
import type { TailConsumer } from "./tail-worker.ts";

export interface TracesOptions {
  readonly scripts: Pick<ScriptTable, "get">;
  /** Asks the hub. */
  readonly resolve: (namespace: string, script: string) => Promise<ScriptEntry>;
  /** To the hub. */
  readonly send: (batches: readonly TraceBatch[]) => Promise<void>;
  readonly callTail: (
    consumer: TailConsumer,
    events: readonly TraceEvent[],
    ctx: ExecutionContext,
  ) => Promise<void>;
}

/** Calls of Tail Workers that are under way; beyond it, events are dropped for them. */
const MAX_TAIL_CALLS = 100;

export class Traces {
  readonly #options: TracesOptions;
  readonly #buffer: TraceBuffer;
  #tailCalls = 0;

  constructor(options: TracesOptions) {
    this.#options = options;
    this.#buffer = new TraceBuffer(options.send);
  }

  /** `script` is the name under which it was called. */
  take({ namespace, script, events, dropped }: TraceBatch, ctx: ExecutionContext): void {
    const entry = this.#options.scripts.get(namespace, script);
    if (entry !== undefined) return this.#take(entry, events, dropped, ctx);
    // From a cell, for a function that this edge was never asked for.
    const resolved = this.#options.resolve(namespace, script);
    ctx.waitUntil(
      resolved.then(
        (found) => this.#take(found, events, dropped, ctx),
        () => undefined,
      ),
    );
  }

  /** The client of `request`, or who sent the event, gets `error`. */
  ended(
    entry: ScriptEntry,
    request: Request,
    { versionId, handled }: InvocationFacts,
    startedMs: number,
    error: unknown,
  ): void {
    const outcome = outcomeOf(error);
    if (outcome === undefined) return;
    const nowMs = Date.now();
    const { namespace, script, previewOf } = entry.state;
    const { name, message } = error as Error;
    const event: TraceEvent = {
      outcome,
      scriptName: previewOf ?? script,
      scriptVersion: { id: versionId },
      scriptTags: [],
      dispatchNamespace: namespace,
      logs: [],
      exceptions: [{ name: name === "LimitError" ? "Error" : name, message, timestamp: nowMs }],
      diagnosticsChannelEvents: [],
      eventTimestamp: startedMs,
      wallTime: nowMs - startedMs,
      cpuTime: outcome === "exceededCpu" ? entry.limits.cpu_ms : 0,
      // What it had written when it was killed is gone.
      truncated: true,
      executionModel: "stateless",
      event: handled ?? {
        request: {
          url: redactedUrl(request.url),
          method: request.method,
          headers: redactedHeaders(request.headers),
          ...(request.cf !== undefined && { cf: request.cf as Record<string, unknown> }),
        },
      },
    };
    this.#take(entry, [event], 0, { waitUntil });
  }

  #take(
    { state, limits }: ScriptEntry,
    found: readonly TraceEvent[],
    dropped: number,
    ctx: Pick<ExecutionContext, "waitUntil">,
  ): void {
    const { namespace, script, traced, previewOf } = state;
    if (traced === undefined) return;
    const name = previewOf ?? script;
    const events = found.map((event) => asEnded(event, name, limits.wall_ms));
    const sampled = traced.hub < 1 ? events.filter(() => Math.random() < traced.hub) : events;
    if (sampled.length > 0 || dropped > 0) {
      this.#buffer.add(namespace, name, sampled, dropped, (work) => ctx.waitUntil(work));
    }
    if (traced.consumers.length === 0) return;
    const told = events.filter((event) => !isOfTailWorker(event));
    if (told.length === 0) return;
    for (const consumer of traced.consumers) this.#tell(consumer, told, ctx as ExecutionContext);
  }

  #tell(consumer: TailConsumer, events: readonly TraceEvent[], ctx: ExecutionContext): void {
    if (this.#tailCalls >= MAX_TAIL_CALLS) return;
    this.#tailCalls++;
    const told = this.#options.callTail(consumer, events, ctx);
    ctx.waitUntil(told.finally(() => this.#tailCalls--));
  }
}

/** undefined: an event of the runtime tells it, or the invocation never began. */
function outcomeOf(error: unknown): Outcome | undefined {
  const limit = limitOf(error);
  if (limit === "exceededCpu" || limit === "exceededMemory") return limit;
  return limit === undefined && isLost(error) ? "unknown" : undefined;
}

/** The runtime knows neither names of previews nor limits. */
function asEnded(event: TraceEvent, scriptName: string, wallMs: number): TraceEvent {
  const { outcome, wallTime } = event;
  const isTooSlow = outcome === "canceled" && wallTime >= wallMs;
  return { ...event, scriptName, outcome: isTooSlow ? "exceededWallTime" : outcome };
}

/** From a cell, which can speak only of functions that it was sent. */
export async function takeTraces(
  request: Request,
  caller: EgressCall,
  {
    traces,
    grants,
    dispatcherEnv,
  }: {
    readonly traces: Traces;
    readonly grants: Grants;
    readonly dispatcherEnv: MetricsEnv;
  },
  ctx: ExecutionContext,
): Promise<Response> {
  const { namespace, script, grant } = caller;
  if (!(await grants.hold(caller, { type: "traces" }, grant))) return notGranted();
  const { batches } = await request.json<TraceFlush>();
  for (const batch of batches) {
    recordAlarms(dispatcherEnv, ctx, { namespace, script }, batch.events);
    traces.take({ ...batch, namespace, script }, ctx);
  }
  return new Response(null, { status: 204 });
}
