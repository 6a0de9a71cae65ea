/** How a call of the S3 API fails: S3's own codes, in S3's XML. */
import { ApiError } from "../errors.ts";
import { BucketError } from "../r2/bucket-client.ts";
import { S3Error, STATUS, type S3Code } from "./s3-error.ts";
import { document, element } from "./xml.ts";

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
