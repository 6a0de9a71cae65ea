/**
 * The S3 API: the same buckets and objects for clients that speak Amazon's protocol, path-style, at the root of this API's
 * socket. A request belongs here if it is signed as S3's are (authenticate.ts), whatever its path: `/`, `/bucket`, `/bucket/key`.
 */
import { createMiddleware } from "hono/factory";
import type { Permission } from "../../protocol/permissions.ts";
import type { ResourceRecord } from "../../registry/resources.ts";
import type { Api, ApiContext } from "../context.ts";
import type { BucketClient } from "../r2/bucket-client.ts";
import { clientOf } from "../r2/buckets.ts";
import { requireSeen } from "../resources.ts";
import { authenticateS3, isForS3, type Signer } from "./authenticate.ts";
import * as buckets from "./buckets.ts";
import { answerPreflight, withCors } from "./cors.ts";
import { failed, toS3Error } from "./failure.ts";
import { S3Error } from "./s3-error.ts";
import * as listing from "./listing.ts";
import * as objects from "./objects.ts";
import * as uploads from "./uploads.ts";

/** What every operation is given. */
export interface S3Call {
  readonly c: ApiContext;
  readonly request: Request;
  readonly query: URLSearchParams;
  readonly signer: Signer;
  /** "" for the list of buckets. */
  readonly bucketName: string;
  readonly key: string;
}

/** About a bucket that exists. */
export interface BucketCall extends S3Call {
  readonly bucket: ResourceRecord;
  readonly client: BucketClient;
}

export const serveS3 = createMiddleware<Api>(async (c, next) => {
  if (!isForS3(c.req.raw)) return next();
  const { url, method } = c.req.raw;
  const path = /^[^/]*\/\/[^/]*([^?#]*)/.exec(url)?.[1] ?? "/";
  try {
    return await answer(c, path, new URL(url).searchParams);
  } catch (error) {
    const response = failed(toS3Error(error), method, path);
    // Whoever sends more than a little of what is refused sees a broken connection.
    c.executionCtx.waitUntil(drain(c.req.raw.body));
    return response;
  }
});

async function answer(c: ApiContext, path: string, query: URLSearchParams): Promise<Response> {
  const [, bucketName = "", ...rest] = path.split("/").map(decoded);
  const key = rest.join("/");
  if (c.req.method === "OPTIONS") return answerPreflight(c, bucketName);
  const signer = await authenticateS3(c, Date.now());
  const call: S3Call = { c, request: c.req.raw, query, signer, bucketName, key };
  if (bucketName === "") return only(call, "GET", "read", buckets.listBuckets);
  if (key === "" && c.req.method === "PUT" && !hasAny(query, BUCKET_PARTS)) {
    return only(call, "PUT", "deploy", buckets.createBucket);
  }
  const bucket = await requireSeen(c, "r2", { name: bucketName });
  const ofBucket: BucketCall = { ...call, bucket, client: clientOf(c, bucket) };
  const operation = key === "" ? bucketOperation(ofBucket) : objectOperation(ofBucket);
  requirePermission(c, operation === buckets.deleteBucket ? "deploy" : "data");
  return withCors(await operation(ofBucket), c, bucket);
}

type Operation = (call: BucketCall) => Promise<Response>;

function bucketOperation({ request: { method }, query }: BucketCall): Operation {
  if (method === "POST" && query.has("delete")) return objects.deleteObjects;
  if (method === "GET" && query.has("uploads")) return uploads.listUploads;
  if (method === "GET" && query.has("location")) return buckets.getLocation;
  if (method === "GET" && query.has("versioning")) return buckets.getVersioning;
  refuseParts(query, BUCKET_PARTS);
  if (method === "GET") return query.get("list-type") === "2" ? listing.listV2 : listing.listV1;
  if (method === "HEAD") return buckets.headBucket;
  if (method === "DELETE") return buckets.deleteBucket;
  throw notAllowed(method);
}

function objectOperation({ request: { method, headers }, query }: BucketCall): Operation {
  const isCopy = headers.has("x-amz-copy-source");
  if (query.has("uploadId")) {
    if (method === "PUT") return isCopy ? uploads.copyPart : uploads.putPart;
    if (method === "POST") return uploads.completeUpload;
    if (method === "DELETE") return uploads.abortUpload;
    if (method === "GET") return uploads.listParts;
  }
  if (method === "POST" && query.has("uploads")) return uploads.createUpload;
  refuseParts(query, OBJECT_PARTS);
  if (method === "GET") return objects.getObject;
  if (method === "HEAD") return objects.headObject;
  if (method === "PUT") return isCopy ? objects.copyObject : objects.putObject;
  if (method === "DELETE") return objects.deleteObject;
  throw notAllowed(method);
}

/** What S3 has and R2, or this platform, has not. */
const BUCKET_PARTS = [
  "accelerate",
  "acl",
  "analytics",
  "cors",
  "encryption",
  "inventory",
  "lifecycle",
  "logging",
  "metrics",
  "notification",
  "object-lock",
  "ownershipControls",
  "policy",
  "policyStatus",
  "publicAccessBlock",
  "replication",
  "requestPayment",
  "tagging",
  "versioning",
  "versions",
  "website",
];
const OBJECT_PARTS = [
  "acl",
  "attributes",
  "legal-hold",
  "restore",
  "retention",
  "select",
  "tagging",
  "torrent",
  "versionId",
];

function hasAny(query: URLSearchParams, names: readonly string[]): boolean {
  return names.some((name) => query.has(name));
}

function refuseParts(query: URLSearchParams, names: readonly string[]): void {
  const asked = names.find((name) => query.has(name));
  if (asked === undefined) return;
  throw new S3Error(
    "NotImplemented",
    `?${asked} is not supported. Rules for CORS, lifecycle and notifications are set with wrangler r2 bucket.`,
  );
}

function only(
  call: S3Call,
  method: string,
  needs: Permission,
  operation: (call: S3Call) => Promise<Response>,
): Promise<Response> {
  if (call.request.method !== method) throw notAllowed(call.request.method);
  requirePermission(call.c, needs);
  return operation(call);
}

function requirePermission(c: ApiContext, needs: Permission): void {
  if (c.var.token.permissions.includes(needs)) return;
  throw new S3Error("AccessDenied", `The API token lacks the permission '${needs}'.`);
}

function notAllowed(method: string): S3Error {
  return new S3Error("MethodNotAllowed", `${method} is not allowed against this resource.`);
}

function decoded(segment: string): string {
  try {
    return decodeURIComponent(segment);
  } catch {
    throw new S3Error("InvalidArgument", `'${segment}' in the path is not percent-encoded UTF-8`);
  }
}

const MAX_REFUSED_BYTES = 32 * 1024 * 1024;

async function drain(body: ReadableStream<Uint8Array> | null): Promise<void> {
  if (body === null || body.locked) return;
  let bytes = 0;
  try {
    for await (const chunk of body) {
      bytes += chunk.byteLength;
      if (bytes > MAX_REFUSED_BYTES) return;
    }
  } catch {
    // Nobody is there any more to be told anything.
  }
}
