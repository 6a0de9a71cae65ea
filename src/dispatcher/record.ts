/** Turns one answered request into a record; the recorder delivers them out of the request path. */
import type { InvocationFacts } from "../namespace/user-worker.ts";
import type { Invocation } from "../protocol/telemetry.ts";
import { requestBytes, responseBytes, sampleWeight } from "./body-size.ts";
import type { DispatcherEnv } from "./env.ts";
import { Recorder, type MetricsSink } from "./recorder.ts";
import type { Target } from "./routes.ts";

let recorder: Recorder | undefined;

/** `response` null: the function threw. */
export function record(
  env: DispatcherEnv,
  ctx: ExecutionContext,
  target: Target,
  facts: InvocationFacts | undefined,
  startedMs: number,
  request: Request,
  response: Response | null,
): void {
  if (env.METRICS === undefined || env.METRICS_FLUSH_MS === "0") return;
  const records = (recorder ??= createRecorder(env, env.METRICS));
  const nowMs = Date.now();
  const { namespace, script } = target;
  const versionId = facts?.versionId ?? "";
  const invocation: Invocation = {
    versionId,
    outcome: response === null ? "exception" : "ok",
    status: response?.status ?? 0,
    wallMs: nowMs - startedMs,
    cold: facts?.cold,
  };
  records.add(namespace, script, invocation, nowMs);
  records.schedule(ctx, env.METRICS, nowMs);

  const weight = response === null ? 0 : sampleWeight(target, nowMs);
  if (response === null || weight === 0) return;
  const counted = responseBytes(request, response).then((bytes) => {
    records.addBytes(namespace, script, versionId, {
      request: requestBytes(request) * weight,
      response: bytes * weight,
    });
  });
  ctx.waitUntil(counted);
}

function createRecorder(env: DispatcherEnv, metrics: MetricsSink): Recorder {
  const records = new Recorder({ flushIntervalMs: Number(env.METRICS_FLUSH_MS ?? 250) });
  // A Durable Object namespace has no such method.
  metrics.onFlush?.(() => records.flush(metrics));
  return records;
}
