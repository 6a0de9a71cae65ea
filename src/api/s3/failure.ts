/** How a call of the S3 API fails: S3's own codes, in S3's XML. */
import { ApiError } from "../errors.ts";
import { BucketError } from "../r2/bucket-client.ts";
import { document, element } from "./xml.ts";

const STATUS = {
  AccessDenied: 403,
  AuthorizationHeaderMalformed: 400,
  AuthorizationQueryParametersError: 400,
  BadDigest: 400,
  BucketAlreadyOwnedByYou: 409,
  BucketNotEmpty: 409,
  EntityTooLarge: 400,
  EntityTooSmall: 400,
  IncompleteBody: 400,
  InternalError: 500,
  InvalidAccessKeyId: 403,
  InvalidArgument: 400,
  InvalidBucketName: 400,
  InvalidDigest: 400,
  InvalidPart: 400,
  InvalidPartOrder: 400,
  InvalidRange: 416,
  InvalidRequest: 400,
  KeyTooLongError: 400,
  MalformedXML: 400,
  MetadataTooLarge: 400,
  MethodNotAllowed: 405,
  MissingContentLength: 411,
  NoSuchBucket: 404,
  NoSuchCORSConfiguration: 404,
  NoSuchKey: 404,
  NoSuchUpload: 404,
  NotImplemented: 501,
  PreconditionFailed: 412,
  QuotaExceeded: 507,
  RequestTimeTooSkewed: 403,
  SignatureDoesNotMatch: 403,
  SlowDown: 503,
} as const;
export type S3Code = keyof typeof STATUS;

export class S3Error extends Error {
  readonly code: S3Code;

  constructor(code: S3Code, message: string) {
    super(message);
    this.code = code;
  }
}

/** R2's numbers. */
const CODES: Readonly<Record<number, S3Code>> = {
  10004: "BucketAlreadyOwnedByYou",
  10005: "InvalidBucketName",
  10006: "NoSuchBucket",
  10007: "NoSuchKey",
  10008: "BucketNotEmpty",
  10011: "EntityTooSmall",
  10012: "MetadataTooLarge",
  10020: "KeyTooLongError",
  10022: "InvalidArgument",
  10024: "NoSuchUpload",
  10025: "InvalidPart",
  10029: "InvalidArgument",
  10031: "PreconditionFailed",
  10037: "BadDigest",
  10039: "InvalidRange",
  10048: "InvalidPart",
  10105: "QuotaExceeded",
  100100: "EntityTooLarge",
};

export function toS3Error(error: unknown): S3Error {
  if (error instanceof S3Error) return error;
  if (error instanceof BucketError || error instanceof ApiError) {
    const code = CODES[error.code];
    if (code !== undefined) return new S3Error(code, error.message);
    if (error instanceof ApiError && error.status < 500) {
      return new S3Error(error.status === 403 ? "AccessDenied" : "InvalidRequest", error.message);
    }
  }
  console.error("S3 API:", error);
  return new S3Error("InternalError", "Internal error. The hub's log says more.");
}

/** `path`: of the request. To HEAD there is no body. */
export function failed({ code, message }: S3Error, method: string, path: string): Response {
  const status = STATUS[code];
  if (method === "HEAD") return new Response(null, { status });
  const text = document(
    element("Error", [
      element("Code", code),
      element("Message", message),
      element("Resource", path),
      element("RequestId", crypto.randomUUID()),
    ]),
  );
  return new Response(text, { status, headers: { "content-type": "application/xml" } });
}
