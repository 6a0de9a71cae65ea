/** Turns one answered request into a record; the recorder delivers them out of the request path. */
import type { InvocationFacts } from "../namespace/user-worker.ts";
import type { Invocation, InvocationKind, Outcome } from "../protocol/telemetry.ts";
import { requestBytes, responseBytes, sampleWeight } from "./body-size.ts";
import type { DispatcherEnv } from "./env.ts";
import type { Reason } from "./errors.ts";
import { Recorder, type MetricsSink } from "./recorder.ts";
import type { FunctionName } from "./routes.ts";

export type MetricsEnv = Pick<DispatcherEnv, "METRICS" | "METRICS_FLUSH_MS">;

let recorder: Recorder | undefined;

/** undefined: there was no invocation, or none that anyone can tell of. */
const OUTCOMES: Readonly<Record<Reason, Outcome | undefined>> = {
  notFound: undefined,
  unavailable: undefined,
  exception: "exception",
  exceededCpu: "exceededCpu",
  exceededMemory: "exceededMemory",
  exceededWallTime: "exceededWallTime",
  backOff: "loadShed",
  rateLimited: "loadShed",
  tooManyConcurrent: "loadShed",
  loop: "loadShed",
  requestTooLarge: "loadShed",
  responseTooLarge: "loadShed",
  overQuota: "loadShed",
};

/** `answered`: the function's response, or why there is none; null: none was expected, and all is well. */
export function record(
  env: MetricsEnv,
  ctx: ExecutionContext,
  target: FunctionName,
  facts: InvocationFacts | undefined,
  startedMs: number,
  request: Request,
  answered: Response | Reason | null,
  kind: InvocationKind = "fetch",
  isRetry = false,
): void {
  if (env.METRICS === undefined || env.METRICS_FLUSH_MS === "0") return;
  const response = typeof answered === "string" ? null : answered;
  const outcome = typeof answered === "string" ? OUTCOMES[answered] : "ok";
  if (outcome === undefined) return;
  const records = (recorder ??= createRecorder(env, env.METRICS));
  const nowMs = Date.now();
  const { namespace } = target;
  const script = facts?.script ?? target.script;
  const versionId = facts?.versionId ?? "";
  const invocation: Invocation = {
    versionId,
    kind,
    isRetry,
    outcome,
    status: response?.status ?? 0,
    wallMs: nowMs - startedMs,
    cold: facts?.cold,
  };
  records.add(namespace, script, invocation, nowMs);
  records.schedule(ctx, env.METRICS, nowMs);

  const weight = response === null ? 0 : sampleWeight(target, nowMs);
  if (response === null || weight === 0) return;
  const counted = responseBytes(request, response).then((bytes) => {
    records.addBytes(namespace, script, versionId, kind, {
      request: requestBytes(request) * weight,
      response: bytes * weight,
    });
  });
  ctx.waitUntil(counted);
}

function createRecorder(env: MetricsEnv, metrics: MetricsSink): Recorder {
  const records = new Recorder({ flushIntervalMs: Number(env.METRICS_FLUSH_MS ?? 250) });
  // A Durable Object namespace has no such method.
  metrics.onFlush?.(() => records.flush(metrics));
  return records;
}
