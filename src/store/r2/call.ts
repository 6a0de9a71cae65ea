/**
 * A call, read from its text. Whoever sends it is a function's code and may send anything: what is of another type than
 * src/protocol/r2.ts says is refused here, so that nothing behind has to ask. What is not known is left alone.
 */
import type { R2Read, R2Write } from "../../protocol/r2.ts";
import { R2Rejection } from "./failure.ts";

type Check = (value: unknown) => boolean;

const isText: Check = (value) => typeof value === "string";
const isFlag: Check = (value) => typeof value === "boolean";
const isInteger: Check = Number.isInteger;
/** 64 bits. */
const isCount: Check = (value) =>
  isInteger(value) || (isText(value) && /^-?\d{1,20}$/.test(value as string));
const isAnything: Check = () => true;

/** Each field may be absent. */
function record(fields: Readonly<Record<string, Check>>): Check {
  const checks = Object.entries(fields);
  return (value) =>
    typeof value === "object" &&
    value !== null &&
    checks.every(([name, isRight]) => {
      const given = (value as Record<string, unknown>)[name];
      return given === undefined || isRight(given);
    });
}

/** These must be there. */
function withAll(names: readonly string[], isRight: Check): Check {
  return (value) => isRight(value) && names.every((name) => name in (value as object));
}

function listOf(isRight: Check): Check {
  return (value) => Array.isArray(value) && value.every(isRight);
}

const etags = listOf(withAll(["type"], record({ type: isText, value: isText })));

/** In whatever call they are. */
const FIELDS = record({
  object: isText,
  objects: listOf(isText),
  customFields: listOf(withAll(["k", "v"], record({ k: isText, v: isText }))),
  httpFields: record({
    contentType: isText,
    contentLanguage: isText,
    contentDisposition: isText,
    contentEncoding: isText,
    cacheControl: isText,
    cacheExpiry: isCount,
  }),
  storageClass: isText,
  ssec: isAnything,
  onlyIf: record({
    etagMatches: etags,
    etagDoesNotMatch: etags,
    uploadedBefore: isCount,
    uploadedAfter: isCount,
    secondsGranularity: isFlag,
  }),
  range: record({ offset: isCount, length: isCount, suffix: isCount }),
  rangeHeader: isText,
  md5: isText,
  sha1: isText,
  sha256: isText,
  sha384: isText,
  sha512: isText,
  anyLength: isFlag,
  copySource: withAll(["bucket", "object"], record({ bucket: isText, object: isText })),
  limit: isInteger,
  prefix: isText,
  cursor: isText,
  delimiter: isText,
  startAfter: isText,
  include: listOf(isInteger),
  uploadId: isText,
  partNumber: isInteger,
  parts: listOf(withAll(["part", "etag"], record({ part: isInteger, etag: isText }))),
});

type Needed<Call extends { readonly method: string }> = Readonly<
  Record<Call["method"], readonly string[]>
>;

const READS: Needed<R2Read> = { head: ["object"], get: ["object"], list: [] };

const WRITES: Needed<R2Write> = {
  put: ["object"],
  delete: [],
  createMultipartUpload: ["object"],
  uploadPart: ["object", "uploadId", "partNumber"],
  completeMultipartUpload: ["object", "uploadId", "parts"],
  abortMultipartUpload: ["object", "uploadId"],
};

export function toRead(text: string): R2Read {
  return checked(text, READS) as R2Read;
}

export function toWrite(text: string): R2Write {
  return checked(text, WRITES) as R2Write;
}

function checked(text: string, all: Readonly<Record<string, readonly string[]>>): unknown {
  let call: unknown;
  try {
    call = JSON.parse(text);
  } catch {
    throw new R2Rejection("invalid-argument");
  }
  const { method } = Object(call) as { readonly method?: unknown };
  const needed = Object.entries(all).find(([name]) => name === method)?.[1];
  if (needed !== undefined && withAll(needed, FIELDS)(call)) return call;
  throw new R2Rejection("invalid-argument");
}
