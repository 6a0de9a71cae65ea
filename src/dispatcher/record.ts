/** Turns one answered request into a record; the recorder delivers them out of the request path. */
import type { InvocationFacts } from "../namespace/user-worker.ts";
import { countBytes, sampleWeight } from "./body-size.ts";
import type { DispatcherEnv } from "./env.ts";
import { Recorder } from "./recorder.ts";
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
  const records = (recorder ??= createRecorder(env));
  const nowMs = Date.now();
  const versionId = facts?.versionId ?? "";
  const declared = response?.headers.get("content-length") ?? null;
  const isHead = request.method === "HEAD";
  records.add(
    target.namespace,
    target.script,
    {
      versionId,
      outcome: response === null ? "exception" : "ok",
      status: response?.status ?? 0,
      wallMs: nowMs - startedMs,
      requestBytes: Number(request.headers.get("content-length") ?? 0),
      responseBytes: isHead ? 0 : Number(declared ?? 0),
      cold: facts?.cold,
    },
    nowMs,
  );
  records.schedule(ctx, env.METRICS, nowMs);
  if (response === null || declared !== null || isHead || response.body === null) return;
  const weight = sampleWeight(target, nowMs);
  if (weight === 0) return;
  const counted = countBytes(response.clone()).then((bytes) => {
    records.addResponseBytes(target.namespace, target.script, versionId, bytes * weight);
  });
  ctx.waitUntil(counted);
}

function createRecorder(env: DispatcherEnv): Recorder {
  const flushIntervalMs = Number(env.METRICS_FLUSH_MS ?? 250);
  return new Recorder({ flushIntervalMs });
}
