/**
 * Calls of functions by functions, through their bindings to services and dispatch namespaces: from an isolate of
 * this edge directly, from one in a cell by the hairpin socket. They are admitted and measured as those of the
 * dispatcher are.
 */
import type { BoundCall } from "../cell/bindings.ts";
import { reasonOf } from "../dispatcher/errors.ts";
import { record, type MetricsEnv } from "../dispatcher/record.ts";
import type { InvocationFacts } from "../namespace/user-worker.ts";
import type {
  DispatchNamespaceValue,
  DurableObjectNamespaceValue,
  ServiceValue,
} from "../protocol/bundle.ts";
import type { EgressCall } from "../protocol/egress.ts";
import { answer, answerError, receive, type PeerCall } from "../protocol/hop.ts";
import { withoutOwn } from "../cell/outbound.ts";
import { chainCaller } from "./hairpin.ts";
import { notGranted, type Grants } from "../protocol/grants.ts";
import type { Invoker } from "./invoke.ts";
import { targetOf } from "./targets.ts";

export interface BoundCallsOptions {
  readonly invoker: Invoker;
  readonly metrics: MetricsEnv;
}

export function callBound(
  options: BoundCallsOptions,
  call: BoundCall,
  request: Request,
  ctx: ExecutionContext,
): Promise<Response> {
  return invoke(options, call, request, ctx, { versionId: "" });
}

/** For the process of the caller; its outcome tells what `fetch` of the binding rejects with. */
export async function answerBound(
  options: BoundCallsOptions & { readonly grants: Grants },
  forwarded: Request,
  caller: EgressCall,
  ctx: ExecutionContext,
): Promise<Response> {
  const { call: claimed, request, finish } = receive<PeerCall>(forwarded);
  const facts: InvocationFacts = { versionId: "" };
  const { call, value } = boundCall(claimed);
  if (!(await options.grants.hold(caller, value, caller.grant))) return notGranted();
  // The egress says who calls; the call itself must not say otherwise.
  const name = `${caller.namespace}/${caller.script}`;
  try {
    if (call.via.at(-1) !== name) throw new Error(`the chain of a call does not end with ${name}`);
    return await finish(answer(await invoke(options, call, request, ctx, facts), facts));
  } catch (error) {
    return await finish(answerError(error, facts));
  }
}

/** A call as it can come from a binding, whatever a cell says beyond it; and the binding. */
function boundCall({ namespace, script, args, options, via, by, outbound, ...method }: PeerCall): {
  readonly call: BoundCall;
  readonly value: ServiceValue | DispatchNamespaceValue | DurableObjectNamespaceValue;
} {
  if (method.object !== undefined) {
    const { object, rpc } = method;
    const to = { namespace, script, args: undefined, options: undefined, via, object };
    const { key } = object;
    const value = { namespace, owner: script, className: "", key };
    return {
      call: rpc === undefined ? to : { ...to, rpc },
      value: { type: "durable-object-namespace", ...value },
    };
  }
  if (by === "dispatch") {
    const through = outbound === undefined ? {} : { outbound };
    const call = { namespace, script, args, options, via, by, ...through };
    return { call, value: { type: "dispatch-namespace", namespace, ...through } };
  }
  const { entrypoint, rpc } = method;
  const target = { namespace, script, ...(entrypoint !== undefined && { entrypoint }) };
  const call = { ...target, args, options: undefined, via, ...(rpc !== undefined && { rpc }) };
  return {
    call,
    value: { type: "service", ...target, ...(args !== undefined && { props: args }) },
  };
}

async function invoke(
  { invoker, metrics }: BoundCallsOptions,
  call: BoundCall,
  original: Request,
  ctx: ExecutionContext,
  facts: InvocationFacts,
): Promise<Response> {
  const { namespace, script, via } = call;
  const { method, body } = original;
  const headers = withoutOwn(original.headers);
  chainCaller(headers, { namespace, script, via });
  // From its parts, so that it has no `cf` that the caller made up.
  const request = new Request(original.url, { method, headers, body, redirect: "manual" });
  const target = targetOf(namespace, script);
  const kind = call.rpc === undefined ? "fetch" : "rpc";
  const startedMs = Date.now();
  try {
    const response = await invoker.invoke(namespace, call, request, facts);
    record(metrics, ctx, target, facts, startedMs, request, response, kind);
    return response;
  } catch (error) {
    record(metrics, ctx, target, facts, startedMs, request, reasonOf(error), kind);
    throw error;
  }
}
