/**
 * `/accounts/{account}/queues`. A queue belongs to the account or to a dispatch namespace (resources.ts); names are unique for
 * each owner, so that several may answer to one: the account's own comes first.
 */
import * as z from "zod";
import {
  DEFAULT_QUEUE_SETTINGS,
  MAX_DELAY_SECONDS,
  MAX_RETENTION_SECONDS,
  MIN_RETENTION_SECONDS,
  type QueueSettings,
} from "../../protocol/queue.ts";
import { isHidden, type ProducerRecord } from "../../registry/queues.ts";
import type { ResourceRecord } from "../../registry/resources.ts";
import { accountId, param, registry, type ApiContext } from "../context.ts";
import { ok, page } from "../envelope.ts";
import { ApiError } from "../errors.ts";
import { unwrap } from "../failures.ts";
import { jsonBody, validate } from "../json-body.ts";
import { newOwner, seen, settleStore } from "../resources.ts";
import { iso } from "../user.ts";
import { consumerJson } from "./consumer-json.ts";

/** As Cloudflare has them, and as wrangler makes them of a binding's name. */
const NAME = /^[A-Za-z0-9](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9])?$/;

const settings = z.object({
  delivery_delay: z.number().int().min(0).max(MAX_DELAY_SECONDS).optional(),
  delivery_paused: z.boolean().optional(),
  message_retention_period: z
    .number()
    .int()
    .min(MIN_RETENTION_SECONDS)
    .max(MAX_RETENTION_SECONDS)
    .optional(),
});

export const creation = z.object({
  queue_name: z.string(),
  settings: settings.nullish(),
  jurisdiction: z.undefined("is not supported: all data are on this platform").optional(),
});

export const change = creation.partial();

export async function listQueues(c: ApiContext): Promise<Response> {
  const names = c.req.queries("name") ?? [];
  const all = await registry(c).resources(await seen(c, "queue"));
  const found = all
    .filter((queue) => !isHidden(queue))
    .filter(({ name }) => names.length === 0 || names.includes(name))
    .toSorted((a, b) => Number(a.namespaceId !== null) - Number(b.namespaceId !== null));
  return page(c, await Promise.all(found.map((queue) => queueJson(c, queue))));
}

export async function createQueue(c: ApiContext): Promise<Response> {
  const body = validate(creation, await jsonBody(c, z.unknown()), "body", "badQueueSettings");
  const namespaceId = await newOwner(c);
  return ok(
    c,
    await queueJson(c, await makeQueue(c, namespaceId, body.queue_name, body.settings ?? {})),
  );
}

/** `namespaceId` null: the account's own. */
export async function makeQueue(
  c: ApiContext,
  namespaceId: string | null,
  name: string,
  given: z.infer<typeof settings>,
): Promise<ResourceRecord> {
  refuseBadName(name);
  const id = crypto.randomUUID().replaceAll("-", "");
  const made = unwrap(
    await registry(c).createResource({
      id,
      kind: "queue",
      accountId: accountId(c),
      namespaceId,
      name,
      settings: { ...withSettings(DEFAULT_QUEUE_SETTINGS, given) },
    }),
  );
  await settleStore(c);
  return made;
}

export async function getQueue(c: ApiContext): Promise<Response> {
  return ok(c, await queueJson(c, await queueOf(c)));
}

/** PUT and PATCH alike: what is absent stays. */
export async function updateQueue(c: ApiContext): Promise<Response> {
  const body = validate(change, await jsonBody(c, z.unknown()), "body", "badQueueSettings");
  const queue = await queueOf(c);
  const { queue_name: name = queue.name } = body;
  if (name !== queue.name) refuseBadName(name);
  const current = queue.settings as unknown as QueueSettings;
  const patch = { name, settings: { ...withSettings(current, body.settings ?? {}) } };
  const updated = unwrap(await registry(c).updateResource("queue", queue.id, patch));
  await settleStore(c);
  return ok(c, await queueJson(c, updated));
}

/** With its messages. */
export async function deleteQueue(c: ApiContext): Promise<Response> {
  const { id } = await queueOf(c);
  unwrap(await registry(c).deleteResource("queue", id));
  await settleStore(c);
  return ok(c, null);
}

/** The `:queue` of the path, by its id. */
export async function queueOf(c: ApiContext): Promise<ResourceRecord> {
  const id = param(c, "queue");
  const found = await registry(c).resource(await seen(c, "queue"), { id });
  if (found !== null && !isHidden(found)) return found;
  throw new ApiError(
    "queueNotFound",
    `Queue does not exist: this token may see none with the id '${id}'.`,
  );
}

function withSettings(current: QueueSettings, given: z.infer<typeof settings>): QueueSettings {
  return {
    ...current,
    ...(given.delivery_delay !== undefined && { deliveryDelaySeconds: given.delivery_delay }),
    ...(given.delivery_paused !== undefined && { deliveryPaused: given.delivery_paused }),
    ...(given.message_retention_period !== undefined && {
      retentionSeconds: given.message_retention_period,
    }),
  };
}

function refuseBadName(name: string): void {
  if (NAME.test(name)) return;
  throw new ApiError(
    "badQueueSettings",
    `'${name}' cannot name a queue: use 1 to 63 of A-Z, a-z, 0-9, - and _, with a letter or digit first and last.`,
  );
}

export async function queueJson(c: ApiContext, queue: ResourceRecord) {
  const [consumer, producers] = await Promise.all([
    registry(c).queueConsumer(queue.id),
    registry(c).queueProducers(queue.id),
  ]);
  const { deliveryDelaySeconds, deliveryPaused, retentionSeconds } =
    queue.settings as unknown as QueueSettings;
  const consumers = consumer === null ? [] : [consumerJson(consumer, queue)];
  return {
    queue_id: queue.id,
    queue_name: queue.name,
    created_on: iso(queue.createdOn),
    modified_on: iso(queue.modifiedOn),
    settings: {
      delivery_delay: deliveryDelaySeconds,
      delivery_paused: deliveryPaused,
      message_retention_period: retentionSeconds,
    },
    producers: producers.map(producerJson),
    producers_total_count: producers.length,
    consumers,
    consumers_total_count: consumers.length,
    dispatch_namespace: queue.namespace,
  };
}

function producerJson({ kind, namespace, script }: ProducerRecord) {
  return {
    type: "worker",
    script,
    ...(kind === "dispatch" && { dispatch_namespace: namespace }),
  };
}
