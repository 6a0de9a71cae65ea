/** The paths of R2 in the REST API; the S3 API has none (src/api/s3/serve.ts). */
import type { Hono } from "hono";
import type { Api } from "../context.ts";
import * as rules from "./bucket-rules.ts";
import * as buckets from "./buckets.ts";
import { queryGraphql } from "./graphql.ts";
import * as notifications from "./notifications.ts";
import * as objects from "./objects.ts";

/** `v4`: of the whole API; `account`: the path of one. */
export function routeR2(app: Hono<Api>, v4: string, account: string): void {
  const all = `${account}/r2/buckets`;
  const bucket = `${all}/:bucket`;
  app.get(all, buckets.listBuckets);
  app.post(all, buckets.createBucket);
  app.get(bucket, buckets.getBucket);
  app.patch(bucket, buckets.patchBucket);
  app.delete(bucket, buckets.deleteBucket);
  app.get(`${bucket}/cors`, rules.getCors);
  app.put(`${bucket}/cors`, rules.putCors);
  app.delete(`${bucket}/cors`, rules.deleteCors);
  app.get(`${bucket}/lifecycle`, rules.getLifecycle);
  app.put(`${bucket}/lifecycle`, rules.putLifecycle);
  app.get(`${bucket}/objects`, objects.listObjects);
  app.get(`${bucket}/objects/:key{.+}`, objects.getObject);
  app.put(`${bucket}/objects/:key{.+}`, objects.putObject);
  app.delete(`${bucket}/objects/:key{.+}`, objects.deleteObject);

  const notified = `${account}/event_notifications/r2/:bucket/configuration`;
  const queue = `${notified}/queues/:queue`;
  app.get(notified, notifications.listNotifications);
  app.get(queue, notifications.getNotification);
  app.put(queue, notifications.putNotification);
  app.delete(queue, notifications.deleteNotification);

  // What `wrangler r2 bucket info` asks it for
  app.post(`${v4}/graphql`, queryGraphql);
}
