/** Events in a real cell, as edges bring them. */
import { describe, expect, test } from "vitest";
import { encodeBundle } from "../protocol/bundle.ts";
import type { EventType, HandlerEnd, QueuedMessage } from "../protocol/events.ts";
import { forward, type CellCall } from "../protocol/hop.ts";
import { encodeStructured } from "../protocol/structured.ts";
import { bundleOf } from "./test/function.ts";
import { taken, workers } from "./test/workers.ts";

async function load(source: string, isModule?: boolean): Promise<string> {
  const bundle = bundleOf(source, isModule === false ? { syntax: "service-worker" } : {});
  await workers.CELL.fetch("http://cell/load?namespace=production&script=f", {
    method: "POST",
    body: encodeBundle(bundle),
  });
  return bundle.versionId;
}

async function call(source: string, event: EventType, body: unknown, isModule?: boolean) {
  const versionId = await load(source, isModule);
  const cellCall: Omit<CellCall, "method"> = {
    namespace: "production",
    script: "f",
    versionId,
    args: undefined,
    limits: { cpuMs: 50, wallMs: 30_000, subrequests: 50 },
    via: [],
    event,
  };
  const request = new Request(`http://${event}/`, { method: "POST", body: JSON.stringify(body) });
  const response = await forward(workers.CELL, cellCall, request, { versionId: "" });
  return response.json<HandlerEnd>();
}

const tick = { type: "scheduled", cron: "*/5 * * * *", scheduledTimeMs: 1_700_000_000_000 };

/** What the handler sent by `tell`, too. */
async function told(end: Promise<HandlerEnd>): Promise<{ end: HandlerEnd; told: unknown }> {
  await taken();
  const ended = await end;
  const [first] = await taken();
  return {
    end: ended,
    told: JSON.parse(
      decodeURIComponent(new URL(first?.url ?? "http://none/?null").search.slice(1)),
    ),
  };
}

const TELL = `const tell = (value) => fetch("http://tell.test/?" + encodeURIComponent(JSON.stringify(value)));`;

describe("scheduled", () => {
  test("the handler gets cron and time, and is done when its waitUntil work is", async () => {
    const source = `${TELL} export default { async scheduled({ cron, scheduledTime }, env, ctx) {
      ctx.waitUntil(scheduler.wait(50).then(() => tell({ cron, scheduledTime })));
    } };`;
    expect(await told(call(source, "scheduled", tick))).toEqual({
      end: { outcome: "ok", noRetry: false, isHandled: true },
      told: { cron: "*/5 * * * *", scheduledTime: 1_700_000_000_000 },
    });
  });

  test("a throw and noRetry() are told", async () => {
    const source = `export default { scheduled(controller) { controller.noRetry(); throw new Error("no"); } };`;
    expect(await call(source, "scheduled", tick)).toEqual({
      outcome: "exception",
      noRetry: true,
      isHandled: true,
    });
  });

  test("a class and service-worker syntax have handlers, too", async () => {
    const ok = { outcome: "ok", noRetry: false, isHandled: true };
    const start = `import { WorkerEntrypoint } from "cloudflare:workers"; export default class extends WorkerEntrypoint`;
    expect(await call(`${start} { async scheduled() {} }`, "scheduled", tick)).toEqual(ok);
    expect(await call(`${start} { scheduled = async () => {}; }`, "scheduled", tick)).toEqual(ok);
    const listener = `addEventListener("scheduled", (event) => event.waitUntil(scheduler.wait(1)));`;
    expect(await call(listener, "scheduled", tick, false)).toEqual(ok);
  });

  test("a version without a handler is told from one that throws", async () => {
    const source = `export default { fetch() { return new Response(); } };`;
    for (const [of, isModule] of [
      [source, true],
      [`addEventListener("fetch", () => {});`, false],
    ] as const) {
      expect(await call(of, "scheduled", tick, isModule)).toMatchObject({ isHandled: false });
      const event = { type: "queue", queue: "jobs", messages: [] };
      expect(await call(of, "queue", event, isModule)).toMatchObject({ isHandled: false });
    }
  });
});

describe("queue", () => {
  const message = (id: string, more: Partial<QueuedMessage> = {}): QueuedMessage => ({
    id,
    timestampMs: 1_700_000_000_000,
    attempts: 1,
    contentType: "text",
    body: "hello",
    ...more,
  });
  const batch = (...messages: readonly QueuedMessage[]) => ({
    type: "queue",
    queue: "jobs",
    messages,
  });

  test("bodies arrive as they were sent, whatever their content type", async () => {
    const source = `${TELL} const show = (value) => value === undefined ? "undefined" : value instanceof ArrayBuffer
        ? ["buffer", ...new Uint8Array(value)] : value instanceof Map ? ["map", ...value] : value;
      export default { async queue({ queue, messages }) {
        await tell({ queue, messages: messages.map((m) => [m.id, m.timestamp.getTime(), m.attempts, show(m.body)]) });
      } };`;
    const { end, told: seen } = await told(
      call(
        source,
        "queue",
        batch(
          message("1"),
          message("2", { contentType: "json", body: '{"a":[1]}', attempts: 3 }),
          message("3", { contentType: "bytes", body: btoa("\x01\x02") }),
          message("4", { contentType: "v8", body: "/w9JVA==" }),
          message("5", {
            contentType: "structured",
            body: encodeStructured(new Map([["k", 1]]), "it"),
          }),
          message("6", { contentType: "structured", body: encodeStructured(undefined, "it") }),
        ),
      ),
    );
    expect(end).toEqual({
      outcome: "ok",
      isHandled: true,
      queue: { ackAll: false, retryBatch: { retry: false }, explicitAcks: [], retryMessages: [] },
    });
    const at = 1_700_000_000_000;
    expect(seen).toEqual({
      queue: "jobs",
      messages: [
        ["1", at, 1, "hello"],
        ["2", at, 3, { a: [1] }],
        ["3", at, 1, ["buffer", 1, 2]],
        ["4", at, 1, 42],
        ["5", at, 1, ["map", ["k", 1]]],
        ["6", at, 1, "undefined"],
      ],
    });
  });

  test("what the handler decided of each message is told", async () => {
    const source = `export default { queue({ messages: [a, b, c] }) { a.ack(); b.retry({ delaySeconds: 7 }); } };`;
    const end = await call(source, "queue", batch(message("a"), message("b"), message("c")));
    expect(end.queue).toEqual({
      ackAll: false,
      retryBatch: { retry: false },
      explicitAcks: ["a"],
      retryMessages: [{ msgId: "b", delaySeconds: 7 }],
    });
  });

  test("retryAll, and a throw", async () => {
    const all = `export default { queue(batch) { batch.retryAll({ delaySeconds: 3 }); } };`;
    expect((await call(all, "queue", batch(message("a")))).queue).toMatchObject({
      retryBatch: { retry: true, delaySeconds: 3 },
    });
    const throws = `export default { queue() { throw new Error("no"); } };`;
    const end = await call(throws, "queue", batch(message("a")));
    expect(end).toMatchObject({ outcome: "exception", isHandled: true });
  });

  test("a body that cannot be read fails the batch as the function would", async () => {
    const source = `export default { queue() {} };`;
    const unreadable = batch(message("a", { contentType: "json", body: "{" }));
    await expect(call(source, "queue", unreadable)).rejects.toMatchObject({
      message: expect.stringContaining("message a is no json"),
      remote: true,
    });
  });
});
