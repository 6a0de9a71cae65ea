/**
 * Event notifications: which changes of a bucket's objects are told to which queues. The rules are settings of the bucket, with
 * which the store notes each change that one of them matches (src/store/r2/notifications.ts).
 */
import * as z from "zod";
import { R2_ACTIONS, type R2Notification } from "../../protocol/r2-rules.ts";
import type { ResourceRecord } from "../../registry/resources.ts";
import { param, type ApiContext } from "../context.ts";
import { ok } from "../envelope.ts";
import { ApiError } from "../errors.ts";
import { jsonBody } from "../json-body.ts";
import { requireSeen } from "../resources.ts";
import { queueOf } from "../queues/queues.ts";
import { bucketOf, changeSettings } from "./buckets.ts";

/** Cloudflare's, for one bucket. */
const MAX_RULES = 100;

const rule = z.object({
  prefix: z.string().optional(),
  suffix: z.string().optional(),
  actions: z.array(z.enum(R2_ACTIONS)).min(1),
  description: z.string().optional(),
});

export const creation = z.object({ rules: z.array(rule).min(1) });
export const deletion = z.object({ ruleIds: z.array(z.string()).optional() });

interface Rule extends z.output<typeof rule> {
  readonly ruleId: string;
  readonly createdAt: string;
}

interface QueueRules extends R2Notification {
  readonly rules: readonly Rule[];
}

export async function listNotifications(c: ApiContext): Promise<Response> {
  const bucket = await bucketOf(c);
  const queues = await Promise.all(rulesOf(bucket).map((one) => toJson(c, one)));
  if (queues.length === 0) throw noRules(bucket.name);
  return ok(c, { bucketName: bucket.name, queues });
}

export async function getNotification(c: ApiContext): Promise<Response> {
  const bucket = await bucketOf(c);
  const found = rulesOf(bucket).find(({ queueId }) => queueId === param(c, "queue"));
  if (found === undefined) throw noRules(bucket.name);
  return ok(c, await toJson(c, found));
}

/** Adds to the rules that are there. */
export async function putNotification(c: ApiContext): Promise<Response> {
  const bucket = await bucketOf(c);
  const queue = await queueOf(c);
  const { rules } = await jsonBody(c, creation);
  const all = rulesOf(bucket);
  const known = all.find(({ queueId }) => queueId === queue.id)?.rules ?? [];
  if (all.flatMap((one) => one.rules).length + rules.length > MAX_RULES) {
    throw new ApiError("invalid", `body.rules: a bucket may have ${MAX_RULES} rules.`);
  }
  const createdAt = new Date().toISOString();
  const added = rules.map((one) => ({ ...one, ruleId: crypto.randomUUID(), createdAt }));
  await setRules(c, bucket, { queueId: queue.id, rules: [...known, ...added] });
  return ok(c, { event_notification_detail_id: added[0]?.ruleId });
}

/** All rules of the queue, or those that the body names. */
export async function deleteNotification(c: ApiContext): Promise<Response> {
  const bucket = await bucketOf(c);
  const queueId = param(c, "queue");
  const found = rulesOf(bucket).find((one) => one.queueId === queueId);
  if (found === undefined) throw noRules(bucket.name);
  const { ruleIds } = c.req.raw.body === null ? {} : await jsonBody(c, deletion);
  const unknown = ruleIds?.find((id) => !found.rules.some(({ ruleId }) => ruleId === id));
  if (unknown !== undefined) {
    throw new ApiError("invalid", `body.ruleIds: there is no rule '${unknown}' for this queue.`);
  }
  const rules = found.rules.filter(({ ruleId }) => ruleIds && !ruleIds.includes(ruleId));
  await setRules(c, bucket, { queueId, rules });
  return ok(c, {});
}

function rulesOf({ settings }: ResourceRecord): readonly QueueRules[] {
  return (settings["notifications"] as readonly QueueRules[] | undefined) ?? [];
}

async function setRules(c: ApiContext, bucket: ResourceRecord, changed: QueueRules): Promise<void> {
  const others = rulesOf(bucket).filter(({ queueId }) => queueId !== changed.queueId);
  const notifications = changed.rules.length > 0 ? [...others, changed] : others;
  await changeSettings(c, bucket, { notifications });
}

/** The queue may be gone. */
async function toJson(c: ApiContext, { queueId, rules }: QueueRules) {
  const queue = await requireSeen(c, "queue", { id: queueId }).catch(() => null);
  return {
    queueId,
    queueName: queue?.name ?? "(deleted)",
    rules: rules.map(({ prefix = "", suffix = "", ...one }) => ({ ...one, prefix, suffix })),
  };
}

function noRules(bucket: string): ApiError {
  return new ApiError(
    "noNotifications",
    `No event notification configuration exists for the bucket '${bucket}'.`,
  );
}
