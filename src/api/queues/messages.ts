/**
 * What is in a queue: `/accounts/{account}/queues/{queue}/messages…`, `/purge` and `/metrics`. Messages come in as a Worker's do;
 * who pulls them gets text as it is, and all else in base64.
 */
import * as z from "zod";
import type { QueuedMessage } from "../../protocol/events.ts";
import {
  MAX_BATCH_MESSAGES,
  MAX_CONSUMED_MESSAGES,
  MAX_DELAY_SECONDS,
} from "../../protocol/queue.ts";
import { STORE_HEADER, type StoreCall } from "../../protocol/store.ts";
import type { QueueSettings } from "../../protocol/queue.ts";
import { registry, type ApiContext } from "../context.ts";
import { ok } from "../envelope.ts";
import { ApiError } from "../errors.ts";
import { unwrap } from "../failures.ts";
import type { CodeName } from "../codes.ts";
import { jsonBody } from "../json-body.ts";
import { settleStore } from "../resources.ts";
import { iso } from "../user.ts";
import { queueJson, queueOf } from "./queues.ts";

const MAX_VISIBILITY_MS = 12 * 3_600_000;

const delay = z.number().int().min(0).max(MAX_DELAY_SECONDS).optional();
const batchSize = z.number().int().min(1).max(MAX_CONSUMED_MESSAGES).optional();
const visibility = z.number().int().min(1).max(MAX_VISIBILITY_MS).optional();

export const message = z.union([
  z.object({ body: z.string(), content_type: z.literal("text"), delay_seconds: delay }),
  z.object({
    body: z.unknown().refine((body) => body !== undefined, "is missing"),
    content_type: z.literal("json").default("json"),
    delay_seconds: delay,
  }),
]);

export const messages = z.object({
  messages: z.array(message).min(1).max(MAX_BATCH_MESSAGES),
  delay_seconds: delay,
});

export const pulling = z.object({
  batch_size: batchSize,
  visibility_timeout_ms: visibility,
  visibility_timeout: visibility,
});

export const acknowledgement = z.object({
  acks: z.array(z.object({ lease_id: z.string() })).default([]),
  retries: z.array(z.object({ lease_id: z.string(), delay_seconds: delay })).default([]),
});

export const peeking = z.object({ batch_size: batchSize });

export const removal = z.object({
  refs: z.array(z.object({ ref: z.string().regex(/^\d{1,16}$/, "is no ref of a message") })),
});

export const purging = z.object({ delete_messages_permanently: z.boolean().optional() });

interface Metrics {
  readonly backlogCount: number;
  readonly backlogBytes: number;
  readonly oldestMessageTimestamp: number;
}

export async function pushMessage(c: ApiContext): Promise<Response> {
  const { id } = await queueOf(c);
  const sent = await jsonBody(c, message);
  return ok(c, await send(c, id, { messages: [sent] }));
}

export async function pushMessages(c: ApiContext): Promise<Response> {
  const { id } = await queueOf(c);
  return ok(c, await send(c, id, await jsonBody(c, messages)));
}

async function send(c: ApiContext, id: string, sent: z.infer<typeof messages>) {
  const body = {
    messages: sent.messages.map(({ body: content, content_type, delay_seconds }) => ({
      body: toBase64(content_type === "text" ? (content as string) : JSON.stringify(content)),
      contentType: content_type,
      delaySecs: delay_seconds ?? sent.delay_seconds,
    })),
  };
  const init = { method: "POST", body: JSON.stringify(body) };
  const response = await producer(c, id, "batch", init);
  const { metadata } = await response.json<{ metadata: { metrics: Metrics } }>();
  return { metadata: { metrics: metricsJson(metadata.metrics) } };
}

export async function pullMessages(c: ApiContext): Promise<Response> {
  const { id } = await queueOf(c);
  const asked = await jsonBody(c, pulling);
  const pulled = await ask<(QueuedMessage & { lease: string })[]>(c, id, "pull", {
    batchSize: asked.batch_size,
    visibilityTimeoutMs: asked.visibility_timeout_ms ?? asked.visibility_timeout,
  });
  const metrics = metricsJson(await metricsOf(c, id));
  return ok(c, {
    message_backlog_count: metrics.backlog_count,
    messages: pulled.map((each) => ({ ...messageJson(each), lease_id: each.lease })),
    metadata: { metrics },
  });
}

export async function acknowledge(c: ApiContext): Promise<Response> {
  const { id } = await queueOf(c);
  const { acks, retries } = await jsonBody(c, acknowledgement);
  const { acked, retried, warnings } = await ask<{
    acked: number;
    retried: number;
    warnings: Record<string, string>;
  }>(c, id, "ack", {
    acks: acks.map(({ lease_id }) => lease_id),
    retries: retries.map(({ lease_id, delay_seconds }) => ({
      lease: lease_id,
      delaySeconds: delay_seconds,
    })),
  });
  return ok(c, { ackCount: acked, retryCount: retried, warnings });
}

export async function peekMessages(c: ApiContext): Promise<Response> {
  const { id } = await queueOf(c);
  const { batch_size: limit = 10 } = await jsonBody(c, peeking);
  const peeked = await ask<(QueuedMessage & { ref: string })[]>(c, id, "peek", { limit });
  return ok(c, { messages: peeked.map((each) => ({ ...messageJson(each), ref: each.ref })) });
}

/** Those that were peeked. */
export async function removeMessages(c: ApiContext): Promise<Response> {
  const { id } = await queueOf(c);
  const { refs } = await jsonBody(c, removal);
  await tell(c, id, "remove", { refs: refs.map(({ ref }) => ref) });
  return ok(c, { errors: [], warnings: {} });
}

export async function purgeQueue(c: ApiContext): Promise<Response> {
  const queue = await queueOf(c);
  const { delete_messages_permanently: isMeant } = await jsonBody(c, purging);
  if (isMeant !== true) {
    throw new ApiError(
      "badQueueSettings",
      "A purge deletes all messages for good: say so with delete_messages_permanently.",
    );
  }
  await tell(c, queue.id, "purge", {});
  const settings = { ...queue.settings, purgedOn: Date.now() };
  const updated = unwrap(await registry(c).updateResource("queue", queue.id, { settings }));
  await settleStore(c);
  return ok(c, await queueJson(c, updated));
}

/** A purge is done when it was answered. */
export async function getPurge(c: ApiContext): Promise<Response> {
  const { settings } = await queueOf(c);
  const { purgedOn } = settings as unknown as QueueSettings & { readonly purgedOn?: number };
  return ok(
    c,
    purgedOn === undefined ? {} : { started_at: iso(purgedOn), completed: iso(purgedOn) },
  );
}

export async function getQueueMetrics(c: ApiContext): Promise<Response> {
  const { id } = await queueOf(c);
  return ok(c, metricsJson(await metricsOf(c, id)));
}

async function metricsOf(c: ApiContext, id: string): Promise<Metrics> {
  return (await producer(c, id, "metrics", {})).json<Metrics>();
}

function metricsJson({ backlogCount, backlogBytes, oldestMessageTimestamp }: Metrics) {
  return {
    backlog_count: backlogCount,
    backlog_bytes: backlogBytes,
    oldest_message_timestamp_ms: oldestMessageTimestamp,
  };
}

function messageJson({ id, attempts, timestampMs, contentType, body }: QueuedMessage) {
  const isText = contentType === "text";
  const isBase64 = contentType === "bytes" || contentType === "v8";
  return {
    id,
    attempts,
    body: isText || isBase64 ? body : toBase64(body),
    metadata: {
      "CF-Content-Type": contentType === "structured" ? "v8" : contentType,
      "CF-sourceMessageSource": "worker",
    },
    timestamp_ms: timestampMs,
  };
}

function toBase64(text: string): string {
  return new TextEncoder().encode(text).toBase64();
}

const REFUSALS: Readonly<Record<string, CodeName>> = {
  10104: "queueNotFound",
  10204: "messageTooLarge",
  10205: "batchTooLarge",
  10206: "tooManyMessages",
  10251: "queueFull",
};

/** In the wire protocol of a Worker's binding; refusals become the API's own. */
async function producer(
  c: ApiContext,
  id: string,
  path: string,
  init: RequestInit,
): Promise<Response> {
  const call: StoreCall = { kind: "queue", id };
  const headers = { [STORE_HEADER]: JSON.stringify(call) };
  const response = await c.env.STORE.fetch(`http://store/${path}`, { ...init, headers });
  if (response.ok) return response;
  const code = response.headers.get("CF-Queues-Error-Code") ?? "";
  throw new ApiError(REFUSALS[code] ?? "badMessage", await response.text());
}

async function ask<Answer>(c: ApiContext, id: string, call: string, asked: unknown) {
  return (await tell(c, id, call, asked)).json<Answer>();
}

async function tell(c: ApiContext, id: string, call: string, asked: unknown): Promise<Response> {
  const init = { method: "POST", body: JSON.stringify(asked) };
  const response = await c.env.STORE.fetch(`http://store/queue/${id}/${call}`, init);
  if (response.ok) return response;
  await response.body?.cancel();
  if (response.status === 409) {
    throw new ApiError(
      "notPulled",
      "The queue has no http_pull consumer: add one with 'wrangler queues consumer http add'.",
    );
  }
  throw new ApiError("unavailable", `The store answered with ${response.status}.`);
}
