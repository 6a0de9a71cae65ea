/** R2 buckets as the API has them: made, listed, changed and deleted. */
import * as z from "zod";
import type { ResourceRecord } from "../../registry/resources.ts";
import { accountId, param, registry, type ApiContext } from "../context.ts";
import { ok } from "../envelope.ts";
import { ApiError } from "../errors.ts";
import { unwrap } from "../failures.ts";
import { jsonBody } from "../json-body.ts";
import { newOwner, requireSeen, seen, settleStore } from "../resources.ts";
import { BucketClient } from "./bucket-client.ts";

export const STORAGE_CLASSES = ["Standard", "InfrequentAccess"] as const;
type StorageClass = (typeof STORAGE_CLASSES)[number];

const BUCKET_NAME = /^[a-z0-9][a-z0-9-]{1,61}[a-z0-9]$/;

export const creation = z.object({
  name: z.string(),
  storageClass: z.enum(STORAGE_CLASSES).optional(),
  locationHint: z.string().optional(),
});

export async function createBucket(c: ApiContext): Promise<Response> {
  refuseJurisdiction(c);
  const { name, storageClass = "Standard", locationHint } = await jsonBody(c, creation);
  const location = locationHint === undefined ? {} : { location: locationHint };
  return ok(c, toJson(await makeBucket(c, name, { storageClass, ...location })));
}

export async function makeBucket(
  c: ApiContext,
  name: string,
  settings: Record<string, unknown>,
): Promise<ResourceRecord> {
  if (!BUCKET_NAME.test(name)) {
    throw new ApiError(
      "badBucketName",
      `The specified bucket name is not valid: '${name}'. It has 3 to 63 of a-z, 0-9 and -, and begins and ends with a letter or a digit.`,
    );
  }
  const bucket = unwrap(
    await registry(c).createResource({
      id: crypto.randomUUID().replaceAll("-", ""),
      accountId: accountId(c),
      namespaceId: await newOwner(c),
      kind: "r2",
      name,
      settings,
    }),
  );
  await settleStore(c);
  return bucket;
}

/** `?name_contains=&start_after=&per_page=&cursor=&direction=` */
export async function listBuckets(c: ApiContext): Promise<Response> {
  const { name_contains: part = "", start_after, cursor, per_page, direction } = c.req.query();
  const after = cursor ?? start_after;
  const all = (await registry(c).resources(await seen(c, "r2")))
    .filter(({ name }) => name.includes(part))
    .sort((a, b) => (a.name < b.name ? -1 : 1));
  if (direction === "desc") all.reverse();
  const from = after === undefined ? 0 : all.findIndex(({ name }) => name === after) + 1;
  const size = Math.min(Math.max(Number(per_page) || all.length, 1), 1000);
  const buckets = all.slice(from, from + size);
  const isLast = from + size >= all.length;
  return c.json({
    success: true,
    errors: [],
    messages: [],
    result: { buckets: buckets.map(toJson) },
    result_info: { per_page: size, ...(!isLast && { cursor: buckets.at(-1)?.name }) },
  });
}

export async function getBucket(c: ApiContext): Promise<Response> {
  return ok(c, toJson(await bucketOf(c)));
}

export async function patchBucket(c: ApiContext): Promise<Response> {
  const bucket = await bucketOf(c);
  const wanted = c.req.header("cf-r2-storage-class");
  if (!isStorageClass(wanted)) {
    throw new ApiError(
      "invalid",
      `the header cf-r2-storage-class is '${wanted}', expected ${STORAGE_CLASSES.join(" or ")}`,
    );
  }
  return ok(c, toJson(await changeSettings(c, bucket, { storageClass: wanted })));
}

export async function deleteBucket(c: ApiContext): Promise<Response> {
  await removeBucket(c, await bucketOf(c));
  return ok(c, {});
}

export async function removeBucket(c: ApiContext, bucket: ResourceRecord): Promise<void> {
  const { objects } = await clientOf(c, bucket).list({ limit: 1 });
  if (objects.length > 0) {
    throw new ApiError(
      "bucketNotEmpty",
      `The bucket you tried to delete (${bucket.name}) is not empty. Delete its objects first.`,
    );
  }
  unwrap(await registry(c).deleteResource("r2", bucket.id));
  await settleStore(c);
}

/** The `:bucket` of the path. */
export function bucketOf(c: ApiContext): Promise<ResourceRecord> {
  refuseJurisdiction(c);
  return requireSeen(c, "r2", { name: param(c, "bucket") });
}

export function clientOf(c: ApiContext, { id }: ResourceRecord): BucketClient {
  return new BucketClient(c.env.STORE, id);
}

/** null takes a setting away. */
export async function changeSettings(
  c: ApiContext,
  { id, settings }: ResourceRecord,
  patch: Record<string, unknown>,
): Promise<ResourceRecord> {
  const next = Object.fromEntries(
    Object.entries({ ...settings, ...patch }).filter(([, value]) => value !== null),
  );
  const changed = unwrap(await registry(c).updateResource("r2", id, { settings: next }));
  await settleStore(c);
  return changed;
}

export function isStorageClass(text: unknown): text is StorageClass {
  return (STORAGE_CLASSES as readonly unknown[]).includes(text);
}

function refuseJurisdiction(c: ApiContext): void {
  const asked = c.req.header("cf-r2-jurisdiction") ?? "default";
  if (asked === "default") return;
  throw new ApiError(
    "notSupported",
    `the jurisdiction '${asked}' is not supported: all data are on this platform. Leave --jurisdiction out.`,
  );
}

function toJson({ name, createdOn, settings }: ResourceRecord) {
  return {
    name,
    creation_date: new Date(createdOn).toISOString(),
    location: (settings["location"] as string | undefined) ?? "auto",
    storage_class: (settings["storageClass"] as string | undefined) ?? "Standard",
    jurisdiction: "default",
  };
}
