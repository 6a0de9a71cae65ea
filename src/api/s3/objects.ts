/** Objects in the S3 API. Contents stream through; headers are R2's metadata. */
import type { R2Get, R2ObjectInfo, R2Pair, R2Put } from "../../protocol/r2.ts";
import { BucketError, R2_CODES, type BucketClient } from "../r2/bucket-client.ts";
import { clientOf, isStorageClass } from "../r2/buckets.ts";
import { conditionsOf, fieldsOf, headersOf } from "../r2/object-headers.ts";
import { requireSeen } from "../resources.ts";
import { xml } from "./buckets.ts";
import { S3Error } from "./s3-error.ts";
import { payloadOf } from "./payload.ts";
import type { BucketCall } from "./serve.ts";
import { element, parseXml, texts } from "./xml.ts";

const META = "x-amz-meta-";
const MAX_XML_BYTES = 4 * 2 ** 20;
const MAX_DELETED = 1000;

/** Headers of the answer that a query may set. */
const OVERRIDES = [
  "content-type",
  "content-language",
  "expires",
  "cache-control",
  "content-disposition",
  "content-encoding",
];

export async function getObject(call: BucketCall): Promise<Response> {
  const { request, query, client, key } = call;
  const range = request.headers.get("range");
  try {
    const { info, body } = await client.get({
      object: key,
      ...conditionsOf(request.headers),
      ...(range !== null && (await checkedRange(client, key, range))),
    });
    const headers = objectHeaders(info, range !== null);
    for (const name of OVERRIDES) {
      const value = query.get(`response-${name}`);
      if (value !== null) headers.set(name, value);
    }
    return new Response(body, { status: headers.has("content-range") ? 206 : 200, headers });
  } catch (error) {
    return unmet(error, request);
  }
}

/** A range that nothing of the object is in is refused, other than by R2's binding. */
async function checkedRange(
  client: BucketClient,
  key: string,
  rangeHeader: string,
): Promise<Pick<R2Get, "rangeHeader">> {
  const [, first = ""] = /^bytes=(\d+)-/.exec(rangeHeader) ?? [];
  if (first !== "" && Number(first) >= (await client.head(key)).size) {
    throw new S3Error("InvalidRange", "The requested range is not satisfiable");
  }
  return { rangeHeader };
}

export async function headObject({ request, client, key }: BucketCall): Promise<Response> {
  const onlyIf = conditionsOf(request.headers);
  try {
    if ("onlyIf" in onlyIf) {
      const { info, body } = await client.get({ object: key, ...onlyIf });
      await body?.cancel();
      return headAnswer(info);
    }
    return headAnswer(await client.head(key));
  } catch (error) {
    return unmet(error, request);
  }
}

/** The runtime says how long a body would be by this header, if there is no body. */
function headAnswer(info: R2ObjectInfo): Response {
  const headers = objectHeaders(info, false);
  headers.set("content-length", String(info.size));
  return new Response(null, { headers });
}

export async function putObject(call: BucketCall): Promise<Response> {
  const { request, signer, client, key } = call;
  const { body, hashes, arrived } = await payloadOf(request, signer);
  const put: Omit<R2Put, "method"> = {
    object: key,
    ...described(call),
    ...conditionsOf(request.headers),
    ...hashes,
  };
  const made = await together(client.put(put, body), arrived);
  return new Response(null, { headers: { etag: `"${made.etag}"` } });
}

/** What the client did wrong says more than that the store was left with half of it. */
export async function together<T>(stored: Promise<T>, arrived: Promise<void>): Promise<T> {
  const [kept, came] = await Promise.allSettled([stored, arrived]);
  if (came.status === "rejected" && came.reason instanceof S3Error) throw came.reason;
  if (kept.status === "rejected") throw kept.reason;
  return kept.value;
}

export async function deleteObject({ client, key }: BucketCall): Promise<Response> {
  await client.call({ method: "delete", object: key });
  return new Response(null, { status: 204 });
}

export async function deleteObjects(call: BucketCall): Promise<Response> {
  const root = parseXml(await textOf(call));
  const isQuiet = texts(root, "Quiet")[0] === "true";
  const keys = root.children
    .filter(({ name }) => name === "Object")
    .map((object) => texts(object, "Key")[0] ?? "");
  if (keys.length === 0 || keys.length > MAX_DELETED) {
    throw new S3Error(
      "MalformedXML",
      `Delete names ${keys.length} objects, not 1 to ${MAX_DELETED}.`,
    );
  }
  await call.client.call({ method: "delete", objects: keys });
  const deleted = keys.map((key) => element("Deleted", [element("Key", key)]));
  return xml("DeleteResult", isQuiet ? [] : deleted);
}

export async function copyObject(call: BucketCall): Promise<Response> {
  const { request, client, key } = call;
  const { source, from, bucket } = await copySource(call);
  const { info, body } = await from.get({ object: source, ...copyConditions(request.headers) });
  const isReplaced = request.headers.get("x-amz-metadata-directive") === "REPLACE";
  const kept = {
    httpFields: info.httpFields,
    customFields: info.customFields,
    storageClass: info.storageClass,
  };
  const made = await client.put(
    {
      object: key,
      ...(isReplaced ? described(call) : kept),
      copySource: { bucket, object: source },
    },
    body,
  );
  return xml("CopyObjectResult", copied(made.etag, made.uploaded));
}

export function copied(etag: string, at: number) {
  return [element("ETag", `"${etag}"`), element("LastModified", new Date(at).toISOString())];
}

/** Of `x-amz-copy-source`: a bucket that the token may see, too. */
export async function copySource({ c, request }: BucketCall) {
  const header = (request.headers.get("x-amz-copy-source") ?? "").split("?", 1)[0] ?? "";
  let text = header;
  try {
    text = decodeURIComponent(header);
  } catch {
    // Sent as it is.
  }
  const [, bucket = "", source = ""] = /^\/?([^/]+)\/(.+)$/s.exec(text) ?? [];
  if (source === "") {
    throw new S3Error("InvalidArgument", `x-amz-copy-source is '${header}', not <bucket>/<key>`);
  }
  const found = await requireSeen(c, "r2", { name: bucket });
  return { bucket, source, from: clientOf(c, found) };
}

export function copyConditions(headers: Headers) {
  const names = ["match", "none-match", "modified-since", "unmodified-since"];
  const own = new Headers();
  for (const name of names) {
    const value = headers.get(`x-amz-copy-source-if-${name}`);
    if (value !== null) own.set(`if-${name}`, value);
  }
  return conditionsOf(own);
}

/** What the headers say of a new object. */
export function described({
  request: { headers },
  bucket,
}: BucketCall): Pick<R2Put, "httpFields" | "customFields" | "storageClass"> {
  refuseEncryption(headers);
  const { contentEncoding = "", ...fields } = fieldsOf(headers);
  const encodings = contentEncoding
    .split(",")
    .map((one) => one.trim())
    .filter((one) => one !== "" && one !== "aws-chunked");
  const customFields: R2Pair[] = [...headers]
    .filter(([name]) => name.startsWith(META))
    .map(([name, v]) => ({ k: name.slice(META.length), v }));
  return {
    httpFields: {
      ...fields,
      ...(encodings.length > 0 && { contentEncoding: encodings.join(", ") }),
    },
    customFields,
    storageClass: storageClassOf(headers, bucket.settings["storageClass"]),
  };
}

function storageClassOf(headers: Headers, usual: unknown): string {
  const asked = headers.get("x-amz-storage-class");
  if (asked === "STANDARD") return "Standard";
  if (asked === "STANDARD_IA") return "InfrequentAccess";
  if (asked !== null) {
    throw new S3Error(
      "InvalidArgument",
      `x-amz-storage-class is '${asked}', not STANDARD or STANDARD_IA`,
    );
  }
  return isStorageClass(usual) ? usual : "Standard";
}

function refuseEncryption(headers: Headers): void {
  const [asked] =
    [...headers].find(([name]) => name.startsWith("x-amz-server-side-encryption")) ?? [];
  if (asked === undefined) return;
  throw new S3Error("NotImplemented", `${asked} is not supported: encrypt before you upload.`);
}

function objectHeaders(info: R2ObjectInfo, hasRange: boolean): Headers {
  const headers = headersOf(info, hasRange);
  for (const { k, v } of info.customFields) {
    // What a binding has stored may fit into no header.
    if (/^[\w!#$%&'*+.^`|~-]+$/.test(k)) headers.set(META + k, v.replace(/[\r\n\0]/g, " "));
  }
  if (info.storageClass === "InfrequentAccess") headers.set("x-amz-storage-class", "STANDARD_IA");
  if (!headers.has("content-type")) headers.set("content-type", "application/octet-stream");
  return headers;
}

/** 304 is what `If-None-Match` and `If-Modified-Since` ask for. */
function unmet(error: unknown, { headers }: Request): Response {
  const isUnmet = error instanceof BucketError && error.code === R2_CODES.precondition;
  if (!isUnmet || headers.has("if-match") || headers.has("if-unmodified-since")) throw error;
  return new Response(null, { status: 304 });
}

/** The body as text, checked as any content is. */
export async function textOf({ request, signer }: BucketCall): Promise<string> {
  const { body, arrived } = await payloadOf(request, signer);
  const text = await together(boundedText(body), arrived);
  if (/^[0-9a-f]{64}$/.test(signer.payloadHash)) {
    const digest = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(text));
    if (new Uint8Array(digest).toHex() !== signer.payloadHash) {
      throw new S3Error("BadDigest", "x-amz-content-sha256 is not that of the body.");
    }
  }
  return text;
}

async function boundedText(body: ReadableStream<Uint8Array> | null): Promise<string> {
  if (body === null) return "";
  const decoder = new TextDecoder();
  let text = "";
  for await (const chunk of body) {
    text += decoder.decode(chunk, { stream: true });
    if (text.length > MAX_XML_BYTES) throw new S3Error("MalformedXML", "The XML is too long.");
  }
  return text + decoder.decode();
}
