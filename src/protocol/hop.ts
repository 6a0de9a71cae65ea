/**
 * The hop between edges: an edge that lacks a cold function forwards the request to its home edge.
 *
 * The request travels as POST whatever its method, since workerd sends a GET again by itself when a reused
 * connection drops, and a function must not run twice without anyone knowing. WebSocket upgrades are never
 * forwarded.
 * What belongs to the call travels in headers that the receiving side removes; a tenant's response cannot
 * forge them, because the home edge always sets its own.
 */
import { remoteError, UnavailableError } from "./dispatch-errors.ts";
import type { DispatchCall, InvocationFacts } from "../namespace/user-worker.ts";

const CALL_HEADER = "x-skep-call";
const OUTCOME_HEADER = "x-skep-outcome";

export interface PeerCall extends DispatchCall {
  readonly namespace: string;
  readonly method: string;
}

interface PeerOutcome {
  readonly facts: InvocationFacts;
  /** Set if no response came from the function. */
  readonly error?: {
    readonly name: string;
    readonly message: string;
    readonly stack?: string;
    readonly remote: boolean;
    readonly retryable: boolean;
  };
}

/** Fills `facts` in and rejects as a local invocation would. */
export async function forward(
  peer: Fetcher,
  namespace: string,
  call: DispatchCall,
  request: Request,
  facts: InvocationFacts,
): Promise<Response> {
  const headers = new Headers(request.headers);
  const peerCall: PeerCall = { ...call, namespace, method: request.method };
  headers.set(CALL_HEADER, encodeURIComponent(JSON.stringify(peerCall)));
  const response = await peer.fetch(
    new Request(request.url, { method: "POST", headers, body: request.body, redirect: "manual" }),
  );
  const text = response.headers.get(OUTCOME_HEADER);
  if (text === null) throw new UnavailableError("the home edge gave no account of the invocation");
  const outcome = JSON.parse(decodeURIComponent(text)) as PeerOutcome;
  Object.assign(facts, outcome.facts);
  if (outcome.error !== undefined) throw toError(outcome.error);
  return replaceHeader(response, OUTCOME_HEADER, null);
}

/** The call and the tenant's request that a forwarded request carries. */
export function receive(request: Request): { call: PeerCall; request: Request } {
  const text = request.headers.get(CALL_HEADER);
  if (text === null) throw new Error(`a forwarded request lacks ${CALL_HEADER}`);
  const call = JSON.parse(decodeURIComponent(text)) as PeerCall;
  const headers = new Headers(request.headers);
  headers.delete(CALL_HEADER);
  const body = call.method === "GET" || call.method === "HEAD" ? null : request.body;
  const inner = new Request(request.url, {
    method: call.method,
    headers,
    body,
    redirect: "manual",
  });
  return { call, request: inner };
}

export function answer(response: Response, facts: InvocationFacts): Response {
  return replaceHeader(response, OUTCOME_HEADER, encodeOutcome({ facts }));
}

export function answerError(error: unknown, facts: InvocationFacts): Response {
  const { name, message, stack, remote, retryable } = error as PeerOutcome["error"] & Error;
  const outcome: PeerOutcome = {
    facts,
    error: {
      name: String(name),
      message: String(message),
      remote: remote === true,
      retryable: retryable === true,
      ...(stack === undefined ? {} : { stack }),
    },
  };
  return new Response(null, { status: 500, headers: { [OUTCOME_HEADER]: encodeOutcome(outcome) } });
}

function encodeOutcome(outcome: PeerOutcome): string {
  return encodeURIComponent(JSON.stringify(outcome));
}

function toError({ name, message, stack, remote, retryable }: NonNullable<PeerOutcome["error"]>) {
  if (remote) return remoteError(name, message, stack);
  return retryable ? new UnavailableError(message) : new Error(message);
}

function replaceHeader(response: Response, name: string, value: string | null): Response {
  const copy = new Response(response.body, response);
  if (value === null) copy.headers.delete(name);
  else copy.headers.set(name, value);
  return copy;
}
