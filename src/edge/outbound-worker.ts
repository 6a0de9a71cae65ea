/**
 * Calls the outbound Worker of a namespace with what one of its functions fetches. The function sees the Worker's
 * answer as that of the destination. Why there is none is the operator's business: the function learns no more
 * than whether to try again.
 */
import { reasonOf, type Reason } from "../dispatcher/errors.ts";
import { record, type MetricsEnv } from "../dispatcher/record.ts";
import type { InvocationFacts } from "../namespace/user-worker.ts";
import { EGRESS_ERROR_HEADER, type EgressCall, withoutErrorHeader } from "../protocol/egress.ts";
import type { OutboundTarget } from "../protocol/outbound.ts";
import { admitOutbound } from "./admit.ts";
import { notGranted, type Grants } from "../protocol/grants.ts";
import type { Invoker } from "./invoke.ts";
import { targetOf } from "./targets.ts";

export interface OutboundWorkerOptions {
  readonly invoker: Invoker;
  /** Outbound Workers are recorded as functions are that the dispatcher calls. */
  readonly metrics: MetricsEnv;
}

/** The hairpin socket's side of it. */
export async function answerOutbound(
  options: OutboundWorkerOptions & { readonly grants: Grants },
  caller: EgressCall,
  target: OutboundTarget,
  request: Request,
  ctx: ExecutionContext,
): Promise<Response> {
  const isGranted = await options.grants.hold(
    caller,
    { type: "outbound", ...target },
    target.grant,
  );
  if (!isGranted) return notGranted();
  return callOutboundWorker(options, target, admitOutbound(request, caller), ctx);
}

async function callOutboundWorker(
  { invoker, metrics }: OutboundWorkerOptions,
  { namespace, script, parameters }: OutboundTarget,
  request: Request,
  ctx: ExecutionContext,
): Promise<Response> {
  const target = targetOf(namespace, script);
  const facts: InvocationFacts = { versionId: "" };
  const call = { script, args: undefined, options: undefined, asOutbound: parameters };
  const startedMs = Date.now();
  try {
    const response = await invoker.invoke(namespace, call, request, facts);
    record(metrics, ctx, target, facts, startedMs, request, response);
    return withoutErrorHeader(response);
  } catch (error) {
    const reason = reasonOf(error);
    record(metrics, ctx, target, facts, startedMs, request, reason);
    return failure(reason);
  }
}

const FAILED: ReadonlySet<Reason> = new Set<Reason>([
  "notFound",
  "exception",
  "requestTooLarge",
  "responseTooLarge",
]);

function failure(reason: Reason): Response {
  const answer = (status: number, word: string, sentence: string) => {
    const headers = new Headers({
      [EGRESS_ERROR_HEADER]: word,
      "content-type": "text/plain;charset=utf-8",
    });
    if (status === 503) headers.set("retry-after", "1");
    return new Response(`${sentence}\n`, { status, headers });
  };
  if (reason === "loop") return answer(508, "loop", "Functions call each other in a ring.");
  return FAILED.has(reason)
    ? answer(502, "outbound-failed", "The platform's outbound Worker failed.")
    : answer(503, "unavailable", "The platform's outbound Worker cannot be reached now.");
}
