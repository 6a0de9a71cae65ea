/** Objects of a bucket through the REST API, as `wrangler r2 object` and the SDK use it. Contents stream through. */
import type { R2HttpFields, R2ObjectInfo } from "../../protocol/r2.ts";
import type { ApiContext } from "../context.ts";
import { ok } from "../envelope.ts";
import { ApiError } from "../errors.ts";
import { BucketError, R2_CODES } from "./bucket-client.ts";
import { bucketOf, clientOf } from "./buckets.ts";
import { conditionsOf, fieldsOf, headersOf } from "./object-headers.ts";

/** Everything after `/objects/`: doubled slashes and one at the end belong to it. */
function keyOf(c: ApiContext): string {
  const { url } = c.req.raw;
  const path = url.split(/[?#]/, 1)[0] ?? "";
  const [, key = ""] = /\/objects\/(.*)$/s.exec(path) ?? [];
  try {
    return decodeURIComponent(key);
  } catch {
    throw new ApiError("invalid", `the object's key '${key}' is not percent-encoded UTF-8`);
  }
}

/** `?prefix=&delimiter=&cursor=&start_after=&per_page=` */
export async function listObjects(c: ApiContext): Promise<Response> {
  const { prefix, delimiter, cursor, start_after: startAfter, per_page } = c.req.query();
  const limit = per_page === undefined ? undefined : Number(per_page);
  const listing = await translated(async () =>
    clientOf(c, await bucketOf(c)).list({
      prefix,
      delimiter,
      cursor: cursor || undefined,
      startAfter,
      limit,
      include: [0, 1],
    }),
  );
  return c.json({
    success: true,
    errors: [],
    messages: [],
    result: listing.objects.map(toListed),
    result_info: {
      cursor: listing.cursor ?? "",
      is_truncated: listing.truncated,
      per_page: limit ?? 1000,
      delimited: listing.delimitedPrefixes,
    },
  });
}

export async function getObject(c: ApiContext): Promise<Response> {
  const key = keyOf(c);
  if (key === "") return listObjects(c);
  const bucket = await bucketOf(c);
  const range = c.req.header("range");
  try {
    const { info, body } = await clientOf(c, bucket).get({
      object: key,
      ...conditionsOf(c.req.raw.headers),
      ...(range !== undefined && { rangeHeader: range }),
    });
    const headers = headersOf(info, range !== undefined);
    const status = headers.has("content-range") ? 206 : 200;
    return new Response(body, { status, headers });
  } catch (error) {
    // Of `If-None-Match` and `If-Modified-Since`; of the others it is what it says.
    if (isUnmet(error) && c.req.header("if-match") === undefined) {
      return new Response(null, { status: 304 });
    }
    throw toApiError(error);
  }
}

export async function putObject(c: ApiContext): Promise<Response> {
  const bucket = await bucketOf(c);
  const key = keyOf(c);
  if (key === "") throw new ApiError("badObjectName", "The object has no name.");
  const storageClass =
    c.req.header("cf-r2-storage-class") ?? (bucket.settings["storageClass"] as string | undefined);
  const made = await translated(() =>
    clientOf(c, bucket).put(
      {
        object: key,
        httpFields: fieldsOf(c.req.raw.headers),
        ...(storageClass !== undefined && { storageClass }),
      },
      c.req.raw.body,
    ),
  );
  return ok(c, {
    key: made.name,
    etag: made.etag,
    version: made.version,
    size: String(made.size),
    storage_class: made.storageClass,
    uploaded: new Date(made.uploaded).toISOString(),
  });
}

export async function deleteObject(c: ApiContext): Promise<Response> {
  const bucket = await bucketOf(c);
  const key = keyOf(c);
  await translated(() => clientOf(c, bucket).call({ method: "delete", object: key }));
  return ok(c, { key });
}

function toListed(info: R2ObjectInfo) {
  const { cacheExpiry, ...http } = info.httpFields;
  return {
    key: info.name,
    etag: info.etag,
    last_modified: new Date(info.uploaded).toISOString(),
    size: info.size,
    storage_class: info.storageClass,
    http_metadata: {
      ...(http satisfies R2HttpFields),
      ...(cacheExpiry !== undefined && {
        cacheExpiry: new Date(Number(cacheExpiry)).toISOString(),
      }),
    },
    custom_metadata: Object.fromEntries(info.customFields.map(({ k, v }) => [k, v])),
  };
}

async function translated<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw toApiError(error);
  }
}

function isUnmet(error: unknown): boolean {
  return error instanceof BucketError && error.code === R2_CODES.precondition;
}

function toApiError(error: unknown): unknown {
  if (!(error instanceof BucketError)) return error;
  switch (error.code) {
    case R2_CODES.noKey:
      return new ApiError("objectNotFound", error.message);
    case R2_CODES.noBucket:
      return new ApiError("bucketNotFound", error.message);
    case R2_CODES.precondition:
      return new ApiError("preconditionFailed", error.message);
    default:
      return error.status === 507
        ? new ApiError("quotaExceeded", error.message)
        : error.status < 500
          ? new ApiError("invalid", `${error.message} (${error.code})`)
          : error;
  }
}
