/** Multipart uploads in the S3 API. */
import type { R2ObjectInfo, R2PublishedPart } from "../../protocol/r2.ts";
import { BucketError, R2_CODES } from "../r2/bucket-client.ts";
import { xml } from "./buckets.ts";
import { S3Error } from "./s3-error.ts";
import { copied, copyConditions, copySource, described, textOf, together } from "./objects.ts";
import { payloadOf } from "./payload.ts";
import type { BucketCall } from "./serve.ts";
import { element, parseXml, texts } from "./xml.ts";

const MAX_LISTED = 1000;

export async function createUpload(call: BucketCall): Promise<Response> {
  const { client, bucket, key } = call;
  const made = await client.call({
    method: "createMultipartUpload",
    object: key,
    ...described(call),
  });
  const { uploadId } = await made.json<{ uploadId: string }>();
  return xml("InitiateMultipartUploadResult", [
    element("Bucket", bucket.name),
    element("Key", key),
    element("UploadId", uploadId),
  ]);
}

export async function putPart(call: BucketCall): Promise<Response> {
  const { request, signer, client } = call;
  const { body, hashes, arrived } = await payloadOf(request, signer);
  const etag = await together(client.uploadPart({ ...partOf(call), ...hashes }, body), arrived);
  return new Response(null, { headers: { etag: `"${etag}"` } });
}

export async function copyPart(call: BucketCall): Promise<Response> {
  const { request, client } = call;
  const { source, from } = await copySource(call);
  const range = request.headers.get("x-amz-copy-source-range");
  const { body } = await from.get({
    object: source,
    ...copyConditions(request.headers),
    ...(range !== null && { rangeHeader: range }),
  });
  const etag = await client.uploadPart(partOf(call), body);
  return xml("CopyPartResult", copied(etag, Date.now()));
}

export async function completeUpload(call: BucketCall): Promise<Response> {
  const { client, bucket, key } = call;
  const parts = partsOf(await textOf(call));
  const uploadId = uploadOf(call);
  const made = await known(
    client.call({ method: "completeMultipartUpload", object: key, uploadId, parts }),
  );
  const { etag } = await made.json<R2ObjectInfo>();
  return xml("CompleteMultipartUploadResult", [
    element("Location", `/${bucket.name}/${key}`),
    element("Bucket", bucket.name),
    element("Key", key),
    element("ETag", `"${etag}"`),
  ]);
}

export async function abortUpload(call: BucketCall): Promise<Response> {
  const { client, key } = call;
  await known(
    client.call({ method: "abortMultipartUpload", object: key, uploadId: uploadOf(call) }),
  );
  return new Response(null, { status: 204 });
}

export async function listParts(call: BucketCall): Promise<Response> {
  const { client, bucket, key, query } = call;
  const after = Number(query.get("part-number-marker") ?? 0);
  const limit = limitOf(query, "max-parts");
  const uploadId = uploadOf(call);
  const found = await client.parts(key, uploadId, after, limit + 1);
  const parts = found.slice(0, limit);
  return xml("ListPartsResult", [
    element("Bucket", bucket.name),
    element("Key", key),
    element("UploadId", uploadId),
    element("PartNumberMarker", after),
    element("NextPartNumberMarker", parts.at(-1)?.number ?? after),
    element("MaxParts", limit),
    element("IsTruncated", found.length > limit),
    ...parts.map(({ number, size, etag, uploaded }) =>
      element("Part", [
        element("PartNumber", number),
        element("LastModified", new Date(uploaded).toISOString()),
        element("ETag", `"${etag}"`),
        element("Size", size),
      ]),
    ),
  ]);
}

export async function listUploads({ client, bucket, query }: BucketCall): Promise<Response> {
  const prefix = query.get("prefix") ?? "";
  const after = {
    key: query.get("key-marker") ?? "",
    // Of the marked key, all come before the next key.
    id: query.get("upload-id-marker") ?? "\uffff",
  };
  const limit = limitOf(query, "max-uploads");
  const found = await client.uploads(prefix, after, limit + 1);
  const uploads = found.slice(0, limit);
  const last = uploads.at(-1);
  return xml("ListMultipartUploadsResult", [
    element("Bucket", bucket.name),
    element("Prefix", prefix),
    element("MaxUploads", limit),
    element("IsTruncated", found.length > limit),
    last ? element("NextKeyMarker", last.key) : null,
    last ? element("NextUploadIdMarker", last.id) : null,
    ...uploads.map(({ key, id, created }) =>
      element("Upload", [
        element("Key", key),
        element("UploadId", id),
        element("StorageClass", "STANDARD"),
        element("Initiated", new Date(created).toISOString()),
      ]),
    ),
  ]);
}

function partOf(call: BucketCall) {
  const partNumber = Number(call.query.get("partNumber") ?? Number.NaN);
  return { object: call.key, uploadId: uploadOf(call), partNumber };
}

function uploadOf({ query }: BucketCall): string {
  return query.get("uploadId") ?? "";
}

function partsOf(text: string): R2PublishedPart[] {
  const parts = parseXml(text)
    .children.filter(({ name }) => name === "Part")
    .map((part) => ({
      part: Number(texts(part, "PartNumber")[0]),
      etag: (texts(part, "ETag")[0] ?? "").replace(/^"|"$/g, ""),
    }));
  if (parts.length === 0) throw new S3Error("MalformedXML", "The XML names no part.");
  const isOrdered = parts.every(({ part }, index) => part > (parts[index - 1]?.part ?? 0));
  if (!isOrdered) {
    throw new S3Error("InvalidPartOrder", "The list of parts was not in ascending order.");
  }
  return parts;
}

/** R2 has no better number for an upload that does not exist. */
async function known<T>(answer: Promise<T>): Promise<T> {
  try {
    return await answer;
  } catch (error) {
    if (!(error instanceof BucketError) || error.code !== R2_CODES.internal) throw error;
    throw new S3Error("NoSuchUpload", "The specified multipart upload does not exist.");
  }
}

function limitOf(query: URLSearchParams, name: string): number {
  const limit = Number(query.get(name) ?? MAX_LISTED);
  if (Number.isInteger(limit) && limit >= 1) return Math.min(limit, MAX_LISTED);
  throw new S3Error("InvalidArgument", `${name} is '${query.get(name)}', not 1 to ${MAX_LISTED}`);
}
