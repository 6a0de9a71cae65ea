/**
 * `/accounts/{account}/queues/{queue}/consumers`. A queue has one at most. A Worker is named as on Cloudflare, and is one of
 * the queue's owner: of the dispatch namespace that the queue belongs to, or an account Worker. `dispatch_namespace`, which is
 * ours, names another namespace for a queue of the account.
 */
import * as z from "zod";
import { MAX_CONSUMED_MESSAGES, MAX_DELAY_SECONDS } from "../../protocol/queue.ts";
import { isHidden, type ConsumerSettings, type NewConsumer } from "../../registry/queues.ts";
import type { NamespaceRecord } from "../../registry/records.ts";
import type { ResourceRecord } from "../../registry/resources.ts";
import { mayTouch } from "../auth.ts";
import { accountId, param, registry, type ApiContext } from "../context.ts";
import { ok, page } from "../envelope.ts";
import { ApiError } from "../errors.ts";
import { unwrap } from "../failures.ts";
import { jsonBody, validate } from "../json-body.ts";
import { settleStore } from "../resources.ts";
import { consumerJson } from "./consumer-json.ts";
import { makeQueue, queueOf } from "./queues.ts";

const MAX_RETRIES = 100;
const MAX_CONCURRENCY = 250;
const MAX_WAIT_MS = 60_000;
const MAX_VISIBILITY_MS = 12 * 3_600_000;

const whole = (least: number, most: number) => z.number().int().min(least).max(most).nullish();

const counts = {
  batch_size: whole(1, MAX_CONSUMED_MESSAGES),
  max_retries: whole(0, MAX_RETRIES),
  retry_delay: whole(0, MAX_DELAY_SECONDS),
};

export const consumer = z.discriminatedUnion("type", [
  z.object({
    type: z.literal("worker"),
    script_name: z.string().min(1, "names no Worker"),
    /** Ours. */
    dispatch_namespace: z.string().optional(),
    environment_name: z
      .enum(["", "production"], "may only be production: Workers have no environments")
      .nullish(),
    dead_letter_queue: z.string().nullish(),
    settings: z
      .object({
        ...counts,
        max_wait_time_ms: whole(0, MAX_WAIT_MS),
        max_concurrency: whole(1, MAX_CONCURRENCY),
      })
      .nullish(),
  }),
  z.object({
    type: z.literal("http_pull"),
    dead_letter_queue: z.string().nullish(),
    settings: z.object({ ...counts, visibility_timeout_ms: whole(1, MAX_VISIBILITY_MS) }).nullish(),
  }),
]);

export async function listConsumers(c: ApiContext): Promise<Response> {
  const queue = await queueOf(c);
  const found = await registry(c).queueConsumer(queue.id);
  return page(c, found === null ? [] : [consumerJson(found, queue)]);
}

export async function addConsumer(c: ApiContext): Promise<Response> {
  const queue = await queueOf(c);
  const added = unwrap(await registry(c).addQueueConsumer(await readConsumer(c, queue)));
  await settleStore(c);
  return ok(c, consumerJson(added, queue));
}

export async function getConsumer(c: ApiContext): Promise<Response> {
  const queue = await queueOf(c);
  const id = param(c, "consumer");
  const found = await registry(c).queueConsumer(queue.id);
  if (found?.id === id) return ok(c, consumerJson(found, queue));
  throw new ApiError("queueConsumerNotFound", `The queue has no consumer with the id '${id}'.`);
}

/** All of it anew. */
export async function updateConsumer(c: ApiContext): Promise<Response> {
  const queue = await queueOf(c);
  const given = await readConsumer(c, queue);
  const updated = unwrap(await registry(c).updateQueueConsumer(param(c, "consumer"), given));
  await settleStore(c);
  return ok(c, consumerJson(updated, queue));
}

export async function removeConsumer(c: ApiContext): Promise<Response> {
  const { id } = await queueOf(c);
  unwrap(await registry(c).removeQueueConsumer(id, param(c, "consumer")));
  await settleStore(c);
  return ok(c, null);
}

async function readConsumer(c: ApiContext, queue: ResourceRecord): Promise<NewConsumer> {
  const body = validate(consumer, await jsonBody(c, z.unknown()), "body", "badConsumerSettings");
  const scriptId =
    body.type === "worker"
      ? await scriptIdOf(c, queue, body.script_name, body.dispatch_namespace)
      : null;
  const deadLetterQueue = body.dead_letter_queue || null;
  if (deadLetterQueue !== null) await requireDeadLetterQueue(c, queue, deadLetterQueue);
  return { queueId: queue.id, scriptId, settings: settingsOf(body), deadLetterQueue };
}

function settingsOf(body: z.infer<typeof consumer>): ConsumerSettings {
  const common = {
    batchSize: body.settings?.batch_size ?? undefined,
    maxRetries: body.settings?.max_retries ?? undefined,
    retryDelaySeconds: body.settings?.retry_delay ?? undefined,
  };
  if (body.type === "http_pull") {
    return { ...common, visibilityTimeoutMs: body.settings?.visibility_timeout_ms ?? undefined };
  }
  const { max_wait_time_ms: wait, max_concurrency: concurrency } = body.settings ?? {};
  return { ...common, maxWaitMs: wait ?? undefined, maxConcurrency: concurrency ?? undefined };
}

async function scriptIdOf(
  c: ApiContext,
  queue: ResourceRecord,
  script: string,
  asked: string | undefined,
): Promise<string> {
  const namespace = await namespaceFor(c, queue, asked);
  if (!mayTouch(c, namespace.name)) {
    throw new ApiError(
      "forbidden",
      `Authentication error: this token is not for ${namespace.name}`,
    );
  }
  return unwrap(await registry(c).script(namespace.id, script)).id;
}

async function namespaceFor(
  c: ApiContext,
  { name, namespace: owner }: ResourceRecord,
  asked: string | undefined,
): Promise<NamespaceRecord> {
  const wanted = asked ?? owner;
  if (wanted === null) return registry(c).accountNamespace(accountId(c));
  if (owner !== null && wanted !== owner) {
    throw new ApiError(
      "badConsumerSettings",
      `The queue '${name}' belongs to the dispatch namespace '${owner}': only its Workers may take messages from it.`,
    );
  }
  return unwrap(await registry(c).namespace(accountId(c), wanted));
}

/** Made if there is none, as on Cloudflare. */
async function requireDeadLetterQueue(
  c: ApiContext,
  { name, namespaceId }: ResourceRecord,
  wanted: string,
): Promise<void> {
  if (wanted === name) {
    throw new ApiError(
      "badConsumerSettings",
      `The queue '${name}' cannot be its own dead letter queue: name another one.`,
    );
  }
  const query = { accountId: accountId(c), kind: "queue", owners: [namespaceId] } as const;
  const found = await registry(c).resource(query, { name: wanted });
  if (found !== null && !isHidden(found)) return;
  await makeQueue(c, namespaceId, wanted, {});
}
