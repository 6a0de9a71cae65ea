/** Lists of objects in the S3 API: the second version, and the first for older clients. */
import type { R2Listing } from "../../protocol/r2.ts";
import { xml } from "./buckets.ts";
import { S3Error } from "./s3-error.ts";
import type { BucketCall } from "./serve.ts";
import { element } from "./xml.ts";

const MAX_KEYS = 1000;

export async function listV2({ client, bucket, query }: BucketCall): Promise<Response> {
  const token = query.get("continuation-token");
  const startAfter = query.get("start-after");
  const page = await list({ client, query }, { cursor: token, startAfter });
  return xml("ListBucketResult", [
    ...described(bucket.name, query, page),
    element("KeyCount", page.objects.length + page.delimitedPrefixes.length),
    token === null ? null : element("ContinuationToken", token),
    startAfter === null ? null : element("StartAfter", encoded(startAfter, query)),
    page.cursor === undefined ? null : element("NextContinuationToken", page.cursor),
    ...entries(page, query),
  ]);
}

/** A marker is a key; the next one is the last that this page has. */
export async function listV1({ client, bucket, query }: BucketCall): Promise<Response> {
  const marker = query.get("marker") ?? "";
  const isPrefix =
    (query.get("delimiter") ?? "") !== "" && marker.endsWith(query.get("delimiter") ?? "");
  // After a group, whose keys all begin with the marker.
  const startAfter = marker === "" ? null : isPrefix ? `${marker}\u{10ffff}` : marker;
  const page = await list({ client, query }, { cursor: null, startAfter });
  const last = [page.objects.at(-1)?.name, page.delimitedPrefixes.at(-1)]
    .filter((name) => name !== undefined)
    .sort()
    .at(-1);
  return xml("ListBucketResult", [
    ...described(bucket.name, query, page),
    element("Marker", encoded(marker, query)),
    page.truncated && last !== undefined ? element("NextMarker", encoded(last, query)) : null,
    ...entries(page, query),
  ]);
}

function list(
  { client, query }: Pick<BucketCall, "client" | "query">,
  from: { readonly cursor: string | null; readonly startAfter: string | null },
): Promise<R2Listing> {
  const limit = Number(query.get("max-keys") ?? MAX_KEYS);
  if (!Number.isInteger(limit) || limit < 0) {
    throw new S3Error("InvalidArgument", `max-keys is '${query.get("max-keys")}'`);
  }
  if (limit === 0) {
    return Promise.resolve({ objects: [], delimitedPrefixes: [], truncated: false });
  }
  return client.list({
    limit: Math.min(limit, MAX_KEYS),
    prefix: query.get("prefix") ?? undefined,
    delimiter: query.get("delimiter") ?? undefined,
    cursor: from.cursor ?? undefined,
    startAfter: from.startAfter ?? undefined,
  });
}

function described(bucket: string, query: URLSearchParams, page: R2Listing) {
  const delimiter = query.get("delimiter");
  return [
    element("Name", bucket),
    element("Prefix", encoded(query.get("prefix") ?? "", query)),
    element("MaxKeys", Number(query.get("max-keys") ?? MAX_KEYS)),
    element("IsTruncated", page.truncated),
    delimiter === null ? null : element("Delimiter", encoded(delimiter, query)),
    query.get("encoding-type") === "url" ? element("EncodingType", "url") : null,
  ];
}

function entries({ objects, delimitedPrefixes }: R2Listing, query: URLSearchParams) {
  return [
    ...objects.map(({ name, uploaded, etag, size, storageClass }) =>
      element("Contents", [
        element("Key", encoded(name, query)),
        element("LastModified", new Date(uploaded).toISOString()),
        element("ETag", `"${etag}"`),
        element("Size", size),
        element("StorageClass", storageClass === "InfrequentAccess" ? "STANDARD_IA" : "STANDARD"),
      ]),
    ),
    ...delimitedPrefixes.map((prefix) =>
      element("CommonPrefixes", [element("Prefix", encoded(prefix, query))]),
    ),
  ];
}

function encoded(text: string, query: URLSearchParams): string {
  if (query.get("encoding-type") !== "url") return text;
  return encodeURIComponent(text).replaceAll("%2F", "/");
}
