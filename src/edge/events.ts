/** Gives an event to its function, as a request is given to it: where it lives, under its limits, and recorded. */
import { reasonOf, type Reason } from "../dispatcher/errors.ts";
import { record, type MetricsEnv } from "../dispatcher/record.ts";
import type { InvocationFacts } from "../namespace/user-worker.ts";
import { isLost, limitOf, type LimitError } from "../protocol/dispatch-errors.ts";
import {
  EVENT_WALL_MS,
  type EventDelivery,
  type EventResult,
  type FunctionEvent,
  type HandlerEnd,
  type InvocationRequest,
} from "../protocol/events.ts";
import type { TracedHandler } from "../protocol/trace.ts";
import type { Invoker } from "./invoke.ts";
import { targetOf } from "./targets.ts";

export interface EventOptions {
  readonly invoker: Invoker;
  readonly metrics: MetricsEnv;
}

/** Of the response to an `invocation`; what is beyond is cut off. */
const MAX_RESPONSE_BYTES = 256 * 1024;
/** Of its headers, likewise. */
const MAX_HEADERS_CHARACTERS = 32 * 1024;
/** What a function throws may be of any length. */
const MAX_ERROR_CHARACTERS = 1_000;

/** Never rejects. */
export async function deliver(
  { invoker, metrics }: EventOptions,
  { namespace, script, event, attempt }: EventDelivery,
  ctx: ExecutionContext,
): Promise<EventResult> {
  const handled = handledBy(event);
  const facts: InvocationFacts = { versionId: "", ...(handled && { handled }) };
  const request = requestOf(event);
  const call = { script, args: undefined, options: undefined, event: event.type };
  const startedMs = Date.now();
  const target = targetOf(namespace, script);
  const recorded = (answered: Response | Reason | null) => {
    const isRetry = attempt > 1;
    record(metrics, ctx, target, facts, startedMs, request, answered, event.type, isRetry);
  };
  try {
    const response = await invoker.invoke(namespace, call, request, facts);
    if (event.type === "invocation") {
      recorded(new Response(null, { status: response.status }));
      return await captured(response, startedMs + EVENT_WALL_MS);
    }
    const end = await response.json<HandlerEnd>();
    const { isHandled, ...how } = end;
    if (!isHandled) return noHandler(`${namespace}/${script}`, event.type);
    recorded(end.outcome === "ok" ? null : reasonFor(end.outcome));
    return { ran: true, ...how };
  } catch (error) {
    const reason = reasonOf(error);
    recorded(reason);
    return failed(error, reason);
  }
}

/** As Cloudflare's trace events have it; undefined: a request. */
function handledBy(event: FunctionEvent): TracedHandler | undefined {
  switch (event.type) {
    case "scheduled":
      return { cron: event.cron, scheduledTime: event.scheduledTimeMs };
    case "queue":
      return { queue: event.queue, batchSize: event.messages.length };
    case "invocation":
      return undefined;
  }
}

function requestOf(event: FunctionEvent): Request {
  if (event.type === "invocation") return invocationRequest(event.request);
  const body = JSON.stringify(event);
  return new Request(`http://${event.type}/`, { method: "POST", body });
}

function invocationRequest({ method, url, headers, body }: InvocationRequest): Request {
  return new Request(url, {
    method,
    headers: headers.map(([name, value]): [string, string] => [name, value]),
    body: body === null ? null : Uint8Array.fromBase64(body),
  });
}

function noHandler(name: string, type: string): EventResult {
  const message = `function "${name}" exports no ${type}() handler; deploy a version that does`;
  return { ran: false, reason: "no-handler", message };
}

/** The runtime's word for how the handler ended. */
export function reasonFor(outcome: string): Reason {
  return outcome === "exceededCpu" || outcome === "exceededMemory" ? outcome : "exception";
}

function failed(error: unknown, reason: Reason): EventResult {
  const { remote } = error as { readonly remote?: boolean };
  const message = messageOf(error);
  switch (reason) {
    case "notFound":
      return { ran: false, reason: "missing", message };
    case "exceededCpu":
    case "exceededMemory":
    case "exceededWallTime":
      return { ran: true, outcome: reason, error: message };
    case "requestTooLarge":
    case "responseTooLarge":
      return { ran: true, outcome: "loadShed", error: message };
    case "backOff":
    case "overQuota":
    case "rateLimited":
    case "tooManyConcurrent":
    case "loop": {
      const seconds = limitOf(error) && (error as LimitError).retryAfterSeconds;
      const retry = seconds === undefined ? {} : { retryAfterSeconds: seconds };
      return { ran: false, reason: "limited", message, ...retry };
    }
    case "unavailable":
      return unavailable(message, isLost(error));
    case "exception":
      // What is none of the function's is a fault of ours, on the way to it.
      if (remote === true) return { ran: true, outcome: "exception", error: message };
      return unavailable(message, false);
  }
}

function unavailable(message: string, mayHaveRun: boolean): EventResult {
  return { ran: false, reason: "unavailable", message, ...(mayHaveRun && { mayHaveRun }) };
}

/** The response is read until `untilMs` at most. */
async function captured(response: Response, untilMs: number): Promise<EventResult> {
  const { status } = response;
  const { headers, isCut } = firstHeaders(response.headers);
  const { bytes, isTruncated, error } = await firstBytes(response, untilMs);
  const kept = { status, headers, body: bytes.toBase64(), isTruncated: isTruncated || isCut };
  return error === undefined
    ? { ran: true, outcome: "ok", response: kept }
    : { ran: true, outcome: "exception", error, response: kept };
}

/** Those that there is room for. */
function firstHeaders(all: Headers) {
  let left = MAX_HEADERS_CHARACTERS;
  let isCut = false;
  const headers: [string, string][] = [];
  for (const [name, value] of all) {
    const size = name.length + value.length;
    if (size > left) {
      isCut = true;
      continue;
    }
    left -= size;
    headers.push([name, value]);
  }
  return { headers, isCut };
}

function messageOf(error: unknown): string {
  return (error as Error).message.slice(0, MAX_ERROR_CHARACTERS);
}

async function firstBytes({ body }: Response, untilMs: number) {
  const kept = new Uint8Array(MAX_RESPONSE_BYTES);
  let length = 0;
  const taken = (isTruncated: boolean, error?: string) => {
    return { bytes: kept.slice(0, length), isTruncated, error };
  };
  if (body === null) return taken(false);
  const reader = body.getReader();
  const watch = new AbortController();
  const { signal } = watch;
  const timedOut = scheduler.wait(Math.max(0, untilMs - Date.now()), { signal }).then(() => null);
  try {
    for (;;) {
      const read = await Promise.race([reader.read(), timedOut]);
      if (read === null) return taken(true, "the response went on for too long");
      if (read.done) return taken(false);
      const chunk = (read.value as Uint8Array).subarray(0, MAX_RESPONSE_BYTES - length);
      kept.set(chunk, length);
      length += chunk.byteLength;
      if (chunk.byteLength < (read.value as Uint8Array).byteLength) return taken(true);
    }
  } catch (error) {
    return taken(true, messageOf(error));
  } finally {
    timedOut.catch(() => {
      // So it ends when it is not needed any more.
    });
    watch.abort();
    reader.cancel().catch(() => {
      // It failed by itself, which is as good.
    });
  }
}
