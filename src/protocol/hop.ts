/**
 * The hops between our own processes: an edge that lacks a cold function forwards the request to its home edge;
 * an edge sends an invocation that may not run in edges to a cell.
 *
 * The request travels as POST whatever its method, since workerd sends a GET again by itself when a reused
 * connection drops, and a function must not run twice without anyone knowing. A WebSocket upgrade has to stay a
 * GET. What belongs to the call travels in headers that the receiving side removes; a tenant's response cannot
 * forge them, because the receiving process always sets its own.
 */
import {
  isLost,
  LimitError,
  LostError,
  remoteError,
  type LimitReason,
  UnavailableError,
} from "./dispatch-errors.ts";
import type { EventType } from "./events.ts";
import type { ObjectAddress } from "./objects.ts";
import type { Variant } from "./outbound.ts";
import { readToItsEnd, type ReadRequest } from "./unread.ts";
import type { DispatchCall, InvocationFacts } from "../namespace/user-worker.ts";

/** Carries the call. A request without it is none of ours. */
export const CALL_HEADER = "x-skep-call";
/** From the shim in an isolate to the trusted code beside it: JSON of what `get()` of a dispatch namespace was given. */
export const GET_HEADER = "x-skep-get";
export const OUTCOME_HEADER = "x-skep-outcome";

/** What every hop tells of a call. */
interface HopCall {
  readonly namespace: string;
  readonly script: string;
  readonly method: string;
  /** It has none, not even an empty one. */
  readonly isBodiless?: true;
  /** The functions through which the call came, oldest first, as `<namespace>/<script>`. */
  readonly via: readonly string[];
}

/** To the home edge, which knows version and limits itself. */
export interface PeerCall extends HopCall, DispatchCall {
  /** The one that was chosen; absent: there was no choice. */
  readonly versionId?: string;
}

/** To a cell, which knows nothing but the bundles it was sent. */
export interface CellCall extends HopCall {
  readonly versionId: string;
  readonly args: Record<string, unknown> | undefined;
  readonly limits: InvocationLimits;
  /** Absent: the plain version. */
  readonly variant?: Variant;
  /** As in DispatchCall. */
  readonly event?: EventType;
  /** What the function finds as `request.cf`; absent: nothing. */
  readonly cf?: Record<string, unknown>;
  /** As those of DispatchCall. */
  readonly entrypoint?: string;
  readonly rpc?: string;
  readonly object?: ObjectAddress;
}

/** The limits that hold during one invocation: the function's, or less if its caller says so. */
export interface InvocationLimits {
  readonly cpuMs: number;
  /** Until the head of the response. */
  readonly wallMs: number;
  readonly subrequests: number;
}

interface Outcome {
  readonly facts: InvocationFacts;
  /** The cell does not hold the version; it has not touched the request. */
  readonly missing?: true;
  /** Set if no response came from the function. */
  readonly error?: {
    readonly name: string;
    readonly message: string;
    readonly stack?: string;
    readonly remote: boolean;
    readonly retryable: boolean;
    readonly limit?: LimitReason;
    readonly retryAfterSeconds?: number;
  };
}

/** The cell does not hold the version (any more). Nothing ran. */
export class MissingError extends Error {
  override readonly name = "MissingError";
}

/** It shares a head with the request's own headers; one that is too large would look like a process that was lost. */
const MAX_CALL_CHARACTERS = 64 * 1024;

/** `signal` breaks it off. Fills `facts` in and rejects as a local invocation would; with a MissingError if the cell lacks the version. */
export async function forward(
  process: Fetcher,
  call: Omit<PeerCall, "method" | "isBodiless"> | Omit<CellCall, "method" | "isBodiless">,
  request: Request,
  facts: InvocationFacts,
  signal?: AbortSignal,
): Promise<Response> {
  const headers = new Headers(request.headers);
  const isBodiless = request.body === null;
  const hopCall = { ...call, method: request.method, ...(isBodiless && { isBodiless }) };
  const encoded = encodeURIComponent(JSON.stringify(hopCall));
  if (encoded.length > MAX_CALL_CHARACTERS) {
    throw new TypeError(
      `a call of "${call.script}" takes ${encoded.length} bytes beside its request, more than ${MAX_CALL_CHARACTERS}; ` +
        "pass less as args of get(), or as props",
    );
  }
  headers.set(CALL_HEADER, encoded);
  const method = headers.has("upgrade") ? "GET" : "POST";
  const body = method === "GET" ? null : request.body;
  const init = { method, headers, body, redirect: "manual", signal: signal ?? null } as const;
  const response = await process.fetch(new Request(request.url, init));
  const text = response.headers.get(OUTCOME_HEADER);
  if (text === null) throw new LostError("a process gave no account of the invocation");
  const outcome = JSON.parse(decodeURIComponent(text)) as Outcome;
  if (outcome.missing) throw new MissingError("the cell does not hold the version");
  Object.assign(facts, outcome.facts);
  if (outcome.error !== undefined) throw toError(outcome.error);
  return replaceHeader(response, OUTCOME_HEADER, null);
}

/** The call and the tenant's request that a forwarded request carries. `finish` takes the answer to it, before that leaves. */
export function receive<Call extends PeerCall | CellCall>(
  request: Request,
): { call: Call; request: Request; finish: ReadRequest["finish"] } {
  const text = request.headers.get(CALL_HEADER);
  if (text === null) throw new Error(`a forwarded request lacks ${CALL_HEADER}`);
  const call = JSON.parse(decodeURIComponent(text)) as Call;
  const headers = new Headers(request.headers);
  headers.delete(CALL_HEADER);
  const { method, isBodiless } = call;
  const hasBody = method !== "GET" && method !== "HEAD" && isBodiless !== true;
  const length = headers.get("content-length");
  const { body, finish } = readToItsEnd(hasBody ? request.body : null, length);
  // The hop's own, of a POST: the function would find an empty body, which can be used up.
  if (isBodiless) headers.delete("content-length");
  const cf = "cf" in call ? call.cf : undefined;
  const init = { method, headers, body, redirect: "manual" as const };
  const inner = new Request(request.url, cf === undefined ? init : { ...init, cf });
  return { call, request: inner, finish };
}

/** Of a response's head. What has more could not be sent, and the connection would end for no visible reason. */
const MAX_HEAD_CHARACTERS = 128 * 1024;

export function answer(response: Response, facts: InvocationFacts): Response {
  let characters = response.statusText.length;
  for (const [name, value] of response.headers) characters += name.length + value.length;
  if (characters > MAX_HEAD_CHARACTERS) {
    return answerError(
      remoteError("Error", "the head of the response is too large", undefined),
      facts,
    );
  }
  return replaceHeader(response, OUTCOME_HEADER, encodeOutcome({ facts }));
}

/** For a cell that lacks the version: leaves the request's body alone. */
export function answerMissing(): Response {
  const outcome: Outcome = { facts: { versionId: "" }, missing: true };
  return new Response(null, { status: 404, headers: { [OUTCOME_HEADER]: encodeOutcome(outcome) } });
}

export function answerError(error: unknown, facts: InvocationFacts): Response {
  const { name, message, stack, remote, retryable, limit, retryAfterSeconds } =
    error as NonNullable<Outcome["error"]>;
  const outcome: Outcome = {
    facts,
    error: {
      name: cut(String(name), 100),
      message: cut(String(message), MAX_MESSAGE_CHARACTERS),
      remote: remote === true,
      retryable: retryable === true,
      ...(stack === undefined ? {} : { stack: cut(String(stack), MAX_STACK_CHARACTERS) }),
      ...(name === "LimitError" && remote !== true ? { limit, retryAfterSeconds } : {}),
    },
  };
  return new Response(null, { status: 500, headers: { [OUTCOME_HEADER]: encodeOutcome(outcome) } });
}

/**
 * Functions throw what they like, and a response head has bounds. A character takes up to nine bytes there; half a
 * surrogate pair could not be encoded at all.
 */
const MAX_MESSAGE_CHARACTERS = 1_000;
const MAX_STACK_CHARACTERS = 2_000;

function cut(text: string, characters: number): string {
  return text.slice(0, characters).toWellFormed();
}

function encodeOutcome(outcome: Outcome): string {
  return encodeURIComponent(JSON.stringify(outcome));
}

function toError(error: NonNullable<Outcome["error"]>): Error {
  const { name, message, stack, remote, retryable, limit, retryAfterSeconds } = error;
  if (remote) return remoteError(name, message, stack);
  if (limit !== undefined) return new LimitError(limit, message, retryAfterSeconds);
  if (isLost(error)) return new LostError(message);
  if (retryable) return new UnavailableError(message);
  return name === "TypeError" ? new TypeError(message) : new Error(message);
}

function replaceHeader(response: Response, name: string, value: string | null): Response {
  const { webSocket } = response;
  const copy =
    webSocket === null
      ? new Response(response.body, response)
      : new Response(null, { status: response.status, headers: response.headers, webSocket });
  if (value === null) copy.headers.delete(name);
  else copy.headers.set(name, value);
  return copy;
}
