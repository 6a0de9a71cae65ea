/** What the store is told of an event that went through `invoke`, which answers here as each test wants. */
import { createExecutionContext } from "cloudflare:test";
import { expect, test } from "vitest";
import type { DispatchCall, InvocationFacts } from "../namespace/user-worker.ts";
import {
  LimitError,
  LostError,
  remoteError,
  UnavailableError,
  workerNotFound,
} from "../protocol/dispatch-errors.ts";
import type { EventResult, FunctionEvent, HandlerEnd } from "../protocol/events.ts";
import { deliver } from "./events.ts";
import type { Invoker } from "./invoke.ts";

const tick: FunctionEvent = { type: "scheduled", cron: "* * * * *", scheduledTimeMs: 60_000 };
const request = {
  id: "1",
  method: "POST",
  url: "http://invocation/",
  headers: [["x-a", "b"]] as const,
  body: btoa("payload"),
};
const invocation: FunctionEvent = { type: "invocation", request };

type Invoke = (call: DispatchCall, request: Request, facts: InvocationFacts) => Promise<Response>;

function result(event: FunctionEvent, invoke: Invoke): Promise<EventResult> {
  const invoker = {
    invoke: (_: string, ...rest: Parameters<Invoke>) => invoke(...rest),
  } as unknown as Invoker;
  const options = { invoker, metrics: { METRICS_FLUSH_MS: "0" } };
  const delivery = { namespace: "production", script: "f", event, attempt: 1 };
  return deliver(options as never, delivery, createExecutionContext());
}

const ended = (end: HandlerEnd) => () => Promise.resolve(Response.json(end));

test("a handler that ran is told with its outcome and verdict", async () => {
  const queue = { ackAll: true, retryBatch: { retry: false }, explicitAcks: [], retryMessages: [] };
  expect(await result(tick, ended({ outcome: "ok", isHandled: true, queue }))).toEqual({
    ran: true,
    outcome: "ok",
    queue,
  });
  const failed = { outcome: "exception", isHandled: true, noRetry: true };
  expect(await result(tick, ended(failed))).toEqual({
    ran: true,
    outcome: "exception",
    noRetry: true,
  });
});

test("a version without the handler is told as such", async () => {
  const message = `function "production/f" exports no scheduled() handler; deploy a version that does`;
  expect(await result(tick, ended({ outcome: "exception", isHandled: false }))).toEqual({
    ran: false,
    reason: "no-handler",
    message,
  });
});

test.each<[string, Error, Partial<EventResult>]>([
  ["what it threw", remoteError("TypeError", "no honey", ""), { ran: true, outcome: "exception" }],
  ["its CPU limit", new LimitError("exceededCpu", "m"), { ran: true, outcome: "exceededCpu" }],
  ["its wall limit", new LimitError("exceededWallTime", "m"), { ran: true }],
  ["a body that is too large", new LimitError("requestTooLarge", "m"), { ran: true }],
  [
    "a back-off",
    new LimitError("backOff", "m", 7),
    { ran: false, reason: "limited", retryAfterSeconds: 7 },
  ],
  ["a ring", new LimitError("loop", "m"), { ran: false, reason: "limited" }],
  ["no such script", workerNotFound("production", "f"), { ran: false, reason: "missing" }],
  ["no place", new UnavailableError("m"), { ran: false, reason: "unavailable" }],
  ["its process lost", new LostError("m"), { ran: false, mayHaveRun: true }],
  ["a fault of ours", new Error("internal error"), { ran: false, reason: "unavailable" }],
])("%s", async (_, error, expected) => {
  const told = await result(tick, () => Promise.reject(error));
  expect(told).toMatchObject(expected);
  expect("mayHaveRun" in told).toBe("mayHaveRun" in expected);
  expect(told.ran ? told.error : told.message).toBe(error.message);
});

test("of what a function throws or answers no more is told than can be kept", async () => {
  const thrown = remoteError("Error", "x".repeat(1e6), "");
  const failed = await result(invocation, () => Promise.reject(thrown));
  expect(failed.ran && failed.error?.length).toBe(1_000);
  const headers = { "x-long": "x".repeat(1e6), "content-type": "text/plain" };
  const told = await result(invocation, () => Promise.resolve(new Response("a", { headers })));
  expect(told.ran && told.response).toMatchObject({
    headers: [["content-type", "text/plain"]],
    isTruncated: true,
  });
});

test("an event is a request with its type, and what traces say of it", async () => {
  let seen: unknown;
  await result(tick, async (call, given, { handled }) => {
    seen = [call.event, given.method, await given.json(), handled];
    return Response.json({ outcome: "ok", isHandled: true } satisfies HandlerEnd);
  });
  const handled = { cron: "* * * * *", scheduledTime: 60_000 };
  expect(seen).toEqual(["scheduled", "POST", tick, handled]);
});

test("the response to an invocation is kept, up to a bound", async () => {
  const echo = await result(invocation, async (call, given) => {
    const body = `${call.event} ${given.headers.get("x-a")} ${await given.text()}`;
    return new Response(body, { status: 503, headers: { "x-c": "d" } });
  });
  expect(echo).toEqual({
    ran: true,
    outcome: "ok",
    response: {
      status: 503,
      headers: expect.arrayContaining([["x-c", "d"]]),
      body: btoa("invocation b payload"),
      isTruncated: false,
    },
  });
  const large = await result(invocation, () => Promise.resolve(new Response("x".repeat(300_000))));
  const { response } = large as EventResult & { ran: true };
  expect(response?.isTruncated).toBe(true);
  expect(atob(response?.body ?? "")).toHaveLength(256 * 1024);
  const breaksOff = new ReadableStream({
    pull: (controller) => controller.error(new Error("broke off")),
  });
  expect(await result(invocation, () => Promise.resolve(new Response(breaksOff)))).toMatchObject({
    ran: true,
    outcome: "exception",
    error: "broke off",
  });
});
