/** Entries of operations.ts for R2 (`routeR2`). */
import * as z from "zod";
import * as rules from "../r2/bucket-rules.ts";
import * as buckets from "../r2/buckets.ts";
import { query } from "../r2/graphql.ts";
import * as notifications from "../r2/notifications.ts";
import type { Operation } from "./operations.ts";

const bucket = z.strictObject({
  name: z.string(),
  creation_date: z.iso.datetime(),
  location: z.string(),
  storage_class: z.enum(buckets.STORAGE_CLASSES),
  jurisdiction: z.literal("default"),
});

const done = z.strictObject({});

const listedObject = z.strictObject({
  key: z.string(),
  etag: z.string(),
  last_modified: z.iso.datetime(),
  size: z.int(),
  storage_class: z.string(),
  http_metadata: z.record(z.string(), z.string()),
  custom_metadata: z.record(z.string(), z.string()),
});

const madeObject = z.strictObject({
  key: z.string(),
  etag: z.string(),
  version: z.string(),
  size: z.string(),
  storage_class: z.string(),
  uploaded: z.iso.datetime(),
});

const ofQueue = z.strictObject({
  queueId: z.string(),
  queueName: z.string(),
  rules: z.array(
    z.strictObject({
      ruleId: z.string(),
      prefix: z.string(),
      suffix: z.string(),
      actions: z.array(z.string()),
      description: z.string().optional(),
      createdAt: z.iso.datetime(),
    }),
  ),
});

export function ofR2(v4: string, account: string): Record<string, Operation> {
  const all = `${account}/r2/buckets`;
  const one = `${all}/:bucket`;
  const object = `${one}/objects/:key{.+}`;
  const notified = `${account}/event_notifications/r2/:bucket/configuration`;
  return {
    [`GET ${all}`]: {
      does: "R2 buckets, by name",
      query: { name_contains: "Only with this in the name", cursor: "From the list before" },
      result: z.strictObject({ buckets: z.array(bucket) }),
    },
    [`POST ${all}`]: { does: "Makes a bucket", body: buckets.creation, result: bucket },
    [`GET ${one}`]: { does: "One bucket", result: bucket },
    [`PATCH ${one}`]: {
      does: "Sets the storage class of what comes, as the header cf-r2-storage-class says",
      result: bucket,
    },
    [`DELETE ${one}`]: { does: "Deletes a bucket that is empty", result: done },
    [`GET ${one}/cors`]: { does: "CORS rules of the S3 API", result: rules.corsPolicy },
    [`PUT ${one}/cors`]: { does: "Sets them", body: rules.corsPolicy, result: done },
    [`DELETE ${one}/cors`]: { does: "Takes them away", result: done },
    [`GET ${one}/lifecycle`]: { does: "When objects are deleted", result: rules.lifecycle },
    [`PUT ${one}/lifecycle`]: { does: "Sets that", body: rules.lifecycle, result: done },
    [`GET ${one}/objects`]: {
      does: "Objects, by key",
      query: {
        prefix: "Of keys",
        delimiter: "Up to which keys are put together",
        cursor: "From the list before",
        start_after: "A key",
        per_page: "How many, at most 1000",
      },
      result: z.array(listedObject),
    },
    [`GET ${object}`]: { does: "The content", contentType: "application/octet-stream" },
    [`PUT ${object}`]: { does: "Stores the body", result: madeObject },
    [`DELETE ${object}`]: { does: "Deletes it", result: z.strictObject({ key: z.string() }) },
    [`GET ${notified}`]: {
      does: "Event notifications",
      result: z.strictObject({ bucketName: z.string(), queues: z.array(ofQueue) }),
    },
    [`GET ${notified}/queues/:queue`]: { does: "Those of one queue", result: ofQueue },
    [`PUT ${notified}/queues/:queue`]: {
      does: "Adds rules",
      body: notifications.creation,
      result: z.strictObject({ event_notification_detail_id: z.string() }),
    },
    [`DELETE ${notified}/queues/:queue`]: {
      does: "Takes rules away",
      body: notifications.deletion,
      result: done,
    },
    [`POST ${v4}/graphql`]: {
      does: "How much is in a bucket, for `wrangler r2 bucket info`; nothing else",
      body: query,
      contentType: "application/json",
    },
  };
}
