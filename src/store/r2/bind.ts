/** The runtime's R2 protocol (src/protocol/r2.ts), in front of a bucket's object: contents flow between socket and disk here. */
import {
  R2_HEAD,
  R2_METADATA_SIZE,
  R2_REQUEST,
  type R2CompleteUpload,
  type R2CreateUpload,
  type R2Get,
  type R2Put,
  type R2UploadPart,
  type R2Write,
} from "../../protocol/r2.ts";
import { drain } from "../drain.ts";
import type { StoreEnv } from "../env.ts";
import { receiveIntoFile, receiveSmall, takeHead, type Incoming, type Received } from "./arrive.ts";
import type { R2Bucket, Target } from "./bucket.ts";
import { toRead, toWrite } from "./call.ts";
import { failed, R2Rejection, valueOf } from "./failure.ts";
import { BucketFiles } from "./files.ts";
import type { Arrived, Opened } from "./objects.ts";
import {
  algorithmsFor,
  checkDescription,
  checkKey,
  MAX_DELETED,
  MAX_VALUE_BYTES,
  refuseCustomerKey,
  verifiedChecksums,
} from "./rules.ts";
import { checkPartNumber } from "./uploads.ts";

/** Contents up to this size stand in the row: a file would cost more than it saves. */
const MAX_INLINE_BYTES = 32 * 1024;
/** What is asked for at a time where nobody knows how much will come. */
const ROOM_BYTES = 64 * 2 ** 20;
/** The call in front of a body. */
const MAX_CALL_BYTES = 4 * 2 ** 20;
/** An object that is replaced while it is opened is opened again. */
const OPENINGS = 5;

interface Bound {
  readonly bucket: DurableObjectStub<R2Bucket>;
  readonly files: BucketFiles;
  readonly ctx: Pick<ExecutionContext, "waitUntil">;
}

export async function bindR2(
  request: Request,
  id: string,
  env: StoreEnv,
  ctx: Bound["ctx"],
): Promise<Response> {
  const bound = { bucket: bucketOf(env, id), files: new BucketFiles(env.FILES, id), ctx };
  if (request.method !== "PUT") return answered(() => read(bound, request));
  // Goes on when the caller has gone, so that what it began is undone.
  const written = answered(() => write(bound, request));
  ctx.waitUntil(written);
  return written;
}

export function bucketOf(env: StoreEnv, id: string): DurableObjectStub<R2Bucket> {
  return env.R2_BUCKET.get(env.R2_BUCKET.idFromName(id));
}

async function answered(work: () => Promise<Response>): Promise<Response> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof R2Rejection) return failed(error.failure);
    throw error;
  }
}

async function read(bound: Bound, request: Request): Promise<Response> {
  const head = request.headers.get(R2_HEAD);
  const call = toRead(head === null ? (request.headers.get(R2_REQUEST) ?? "") : textOf(head));
  switch (call.method) {
    case "head":
      checkKey(call.object);
      return json(valueOf(await bound.bucket.head(call.object)));
    case "list":
      return json(valueOf(await bound.bucket.list(call)));
    case "get":
      checkKey(call.object);
      return get(bound, call, head !== null);
  }
}

async function get(
  { bucket, files, ctx }: Bound,
  call: R2Get,
  inHeader: boolean,
): Promise<Response> {
  refuseCustomerKey(call.ssec);
  for (let tries = 1; tries <= OPENINGS; tries++) {
    const opened = valueOf(await bucket.open(call));
    const [first] = opened.pieces;
    const stream =
      first !== undefined && "file" in first.content
        ? await files.read(first.content.file, first.offset, first.length)
        : undefined;
    if (stream === null) continue;
    const info = encoded(opened.object);
    return inHeader
      ? answerWith({ [R2_HEAD]: info.toBase64() }, new Uint8Array(), opened, stream, files, ctx)
      : answerWith(
          { [R2_METADATA_SIZE]: String(info.byteLength) },
          info,
          opened,
          stream,
          files,
          ctx,
        );
  }
  throw new R2Rejection("no-such-key");
}

/** `head` comes before the content; `first` is what the file of the first piece brings. */
function answerWith(
  headers: HeadersInit,
  head: Uint8Array,
  { pieces, length }: Opened,
  first: ReadableStream | undefined,
  files: BucketFiles,
  ctx: Bound["ctx"],
): Response {
  const [only] = pieces;
  if (pieces.length === 1 && head.byteLength === 0 && first)
    return new Response(first, { headers });
  if (only === undefined || (pieces.length === 1 && "bytes" in only.content)) {
    const body = new Uint8Array(head.byteLength + length);
    body.set(head);
    if (only && "bytes" in only.content) {
      body.set(new Uint8Array(only.content.bytes, only.offset, length), head.byteLength);
    }
    return new Response(body, { headers });
  }
  const pipe = new FixedLengthStream(head.byteLength + length);
  const pumped = pump(pipe.writable, head, pieces, first, files);
  // Whoever reads has gone, or sees that the body ends early.
  ctx.waitUntil(pumped.catch(() => {}));
  return new Response(pipe.readable, { headers });
}

async function pump(
  writable: WritableStream,
  head: Uint8Array,
  pieces: Opened["pieces"],
  first: ReadableStream | undefined,
  files: BucketFiles,
): Promise<void> {
  try {
    if (head.byteLength > 0) await writeTo(writable, head);
    for (const [index, { content, offset, length }] of pieces.entries()) {
      if ("bytes" in content) {
        await writeTo(writable, new Uint8Array(content.bytes, offset, length));
        continue;
      }
      const opened = index === 0 ? first : undefined;
      const stream = opened ?? (await files.read(content.file, offset, length));
      if (stream === null) throw new Error("the object was replaced while it was read");
      await stream.pipeTo(writable, { preventClose: true });
    }
    await writable.close();
  } catch (error) {
    await writable.abort(error);
    throw error;
  }
}

async function writeTo(writable: WritableStream, bytes: Uint8Array): Promise<void> {
  const writer = writable.getWriter();
  await writer.write(bytes);
  writer.releaseLock();
}

async function write(bound: Bound, request: Request): Promise<Response> {
  try {
    const { text, incoming } = await incomingOf(request);
    return await perform(bound, toWrite(text), incoming);
  } catch (error) {
    await drain(request.body);
    throw error;
  }
}

async function incomingOf(request: Request): Promise<{ text: string; incoming: Incoming }> {
  const { headers, body } = request;
  const head = headers.get(R2_HEAD);
  const given = headers.get("content-length");
  const length = given === null ? undefined : Number(given);
  if (head !== null) return { text: textOf(head), incoming: { size: length, body } };
  if (length === undefined) throw new R2Rejection("unknown-length");
  const headSize = Number(headers.get(R2_METADATA_SIZE) ?? Number.NaN);
  if (body === null || !(headSize > 0 && headSize <= MAX_CALL_BYTES && length >= headSize)) {
    throw new R2Rejection("invalid-argument");
  }
  const text = new TextDecoder().decode(await takeHead(body, headSize));
  return { text, incoming: { size: length - headSize, body } };
}

async function perform(
  { bucket, files }: Bound,
  call: R2Write,
  incoming: Incoming,
): Promise<Response> {
  switch (call.method) {
    case "put":
      return json(await put(bucket, files, call, incoming));
    case "uploadPart":
      return json({ etag: await putPart(bucket, files, call, incoming) });
    case "delete": {
      const keys = call.objects ?? [call.object ?? ""];
      if (keys.length > MAX_DELETED) {
        throw new R2Rejection("invalid-argument", {
          message: `delete() was given ${keys.length} keys, more than ${MAX_DELETED}.`,
        });
      }
      keys.forEach(checkKey);
      valueOf(await bucket.delete(keys));
      return new Response();
    }
    case "createMultipartUpload":
      checkKey(call.object);
      checkDescription(call);
      return json({ uploadId: valueOf(await bucket.createUpload(call satisfies R2CreateUpload)) });
    case "completeMultipartUpload":
      return json(valueOf(await bucket.completeUpload(call satisfies R2CompleteUpload)));
    case "abortMultipartUpload":
      valueOf(await bucket.abortUpload(call));
      return new Response();
  }
}

async function put(
  bucket: DurableObjectStub<R2Bucket>,
  files: BucketFiles,
  call: R2Put,
  incoming: Incoming,
) {
  checkKey(call.object);
  checkDescription(call);
  const { object, onlyIf, copySource, httpFields, customFields } = call;
  const target = {
    object,
    onlyIf,
    ...(httpFields && { httpFields }),
    ...(customFields && { customFields }),
  };
  return keep(bucket, files, call, target, incoming, (arrived, checksums) =>
    bucket.put({ ...call, arrived, checksums }, copySource),
  );
}

async function putPart(
  bucket: DurableObjectStub<R2Bucket>,
  files: BucketFiles,
  call: R2UploadPart,
  incoming: Incoming,
) {
  refuseCustomerKey(call.ssec);
  checkPartNumber(call.partNumber);
  const { object, uploadId } = call;
  return keep(bucket, files, call, { object, uploadId }, incoming, (arrived) =>
    bucket.putPart(call, arrived),
  );
}

/** Brings the content to its place, and then makes known what it is. */
async function keep<T>(
  bucket: DurableObjectStub<R2Bucket>,
  files: BucketFiles,
  call: R2Put | R2UploadPart,
  target: Target,
  incoming: Incoming,
  commit: (
    arrived: Arrived,
    checksums: Record<string, string>,
  ) => Promise<{ value: T } | { failure: R2Rejection["failure"] }>,
): Promise<T> {
  const { size } = incoming;
  if (size === undefined && !call.anyLength) throw new R2Rejection("unknown-length");
  if (size !== undefined && size > MAX_VALUE_BYTES) throw new R2Rejection("entity-too-large");
  const algorithms = algorithmsFor(call);
  const finish = async ({ size: bytes, digests }: Received, content: Arrived["content"]) => {
    const md5 = digests.get("MD5") ?? "";
    return valueOf(await commit({ size: bytes, md5, content }, verifiedChecksums(call, digests)));
  };
  if (size !== undefined && size <= MAX_INLINE_BYTES) {
    const { bytes, digests } = await receiveSmall(incoming.body, size, algorithms);
    return finish({ size, digests }, { bytes });
  }
  const file = valueOf(await bucket.reserve(target, size ?? ROOM_BYTES));
  try {
    let room = size ?? ROOM_BYTES;
    const received = await receiveIntoFile(incoming, algorithms, files, file, async (bytes) => {
      if (bytes > MAX_VALUE_BYTES) throw new R2Rejection("entity-too-large");
      if (bytes <= room) return;
      room += ROOM_BYTES;
      valueOf(await bucket.extend(file, ROOM_BYTES));
    });
    return await finish(received, { file });
  } catch (error) {
    if (!(await bucket.release(file))) await files.deleteAll();
    throw error;
  }
}

/** Of R2_HEAD. */
function textOf(head: string): string {
  try {
    return new TextDecoder().decode(Uint8Array.fromBase64(head));
  } catch {
    throw new R2Rejection("invalid-argument");
  }
}

function encoded(value: unknown): Uint8Array {
  return new TextEncoder().encode(JSON.stringify(value));
}

function json(value: unknown): Response {
  const body = encoded(value);
  return new Response(body, { headers: { [R2_METADATA_SIZE]: String(body.byteLength) } });
}
