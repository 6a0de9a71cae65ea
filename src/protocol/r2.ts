/**
 * The wire protocol of the runtime's R2 binding, as far as it is spoken here. Reads are GET with the call as JSON in
 * `cf-r2-request`; writes are PUT with the call as JSON before the content, its length in bytes in `cf-r2-metadata-size`.
 * Answers begin with JSON likewise; an error stands in `cf-r2-error`. The runtime sends 64-bit numbers as text.
 *
 * JavaScript cannot part a stream without losing how long it is, so our shims and our API send and get the JSON in R2_HEAD.
 */
/** Ours: the call, or what was found, as base64 of JSON; the body is the content alone. */
export const R2_HEAD = "x-skep-r2-head";
export const R2_REQUEST = "cf-r2-request";
export const R2_METADATA_SIZE = "cf-r2-metadata-size";
export const R2_ERROR = "cf-r2-error";

type Count = number | string;

export interface R2Pair {
  readonly k: string;
  readonly v: string;
}

export interface R2HttpFields {
  readonly contentType?: string;
  readonly contentLanguage?: string;
  readonly contentDisposition?: string;
  readonly contentEncoding?: string;
  readonly cacheControl?: string;
  /** Unix milliseconds. */
  readonly cacheExpiry?: Count;
}

export type R2Etag =
  | { readonly type: "strong" | "weak"; readonly value: string }
  | { readonly type: "wildcard" };

export interface R2OnlyIf {
  readonly etagMatches?: readonly R2Etag[];
  readonly etagDoesNotMatch?: readonly R2Etag[];
  /** Unix milliseconds. */
  readonly uploadedBefore?: Count;
  readonly uploadedAfter?: Count;
  readonly secondsGranularity?: boolean;
}

export interface R2RangeWanted {
  readonly offset?: Count;
  readonly length?: Count;
  readonly suffix?: Count;
}

interface Described {
  readonly object: string;
  readonly customFields?: readonly R2Pair[];
  readonly httpFields?: R2HttpFields;
  readonly storageClass?: string;
  readonly ssec?: unknown;
}

export interface R2Head {
  readonly method: "head";
  readonly object: string;
}

export interface R2Get {
  readonly method: "get";
  readonly object: string;
  readonly range?: R2RangeWanted;
  readonly rangeHeader?: string;
  readonly onlyIf?: R2OnlyIf;
  readonly ssec?: unknown;
}

export interface R2Put extends Described {
  readonly method: "put";
  readonly onlyIf?: R2OnlyIf;
  /** Base64; the others are hex. */
  readonly md5?: string;
  readonly sha1?: string;
  readonly sha256?: string;
  readonly sha384?: string;
  readonly sha512?: string;
  /** Ours: the content may come without its length. */
  readonly anyLength?: boolean;
  /** Ours: what it is a copy of. */
  readonly copySource?: { readonly bucket: string; readonly object: string };
}

export interface R2List {
  readonly method: "list";
  readonly limit?: number;
  readonly prefix?: string;
  readonly cursor?: string;
  readonly delimiter?: string;
  readonly startAfter?: string;
  /** 0: httpFields, 1: customFields. */
  readonly include?: readonly number[];
}

export interface R2Delete {
  readonly method: "delete";
  readonly object?: string;
  readonly objects?: readonly string[];
}

export interface R2CreateUpload extends Described {
  readonly method: "createMultipartUpload";
}

export interface R2UploadPart {
  readonly method: "uploadPart";
  readonly object: string;
  readonly uploadId: string;
  readonly partNumber: number;
  readonly ssec?: unknown;
  /** Ours, for the S3 API: base64 and hex, as in R2Put. */
  readonly md5?: string;
  readonly sha256?: string;
  readonly anyLength?: boolean;
}

export interface R2PublishedPart {
  readonly part: number;
  readonly etag: string;
}

export interface R2CompleteUpload {
  readonly method: "completeMultipartUpload";
  readonly object: string;
  readonly uploadId: string;
  readonly parts: readonly R2PublishedPart[];
}

export interface R2AbortUpload {
  readonly method: "abortMultipartUpload";
  readonly object: string;
  readonly uploadId: string;
}

export type R2Read = R2Head | R2Get | R2List;
export type R2Write =
  | R2Put
  | R2Delete
  | R2CreateUpload
  | R2UploadPart
  | R2CompleteUpload
  | R2AbortUpload;

export interface R2ObjectInfo {
  readonly name: string;
  readonly version: string;
  readonly size: number;
  readonly etag: string;
  /** Unix milliseconds. */
  readonly uploaded: number;
  readonly httpFields: R2HttpFields;
  readonly customFields: readonly R2Pair[];
  readonly storageClass: string;
  /** Hex, by number: MD5, SHA-1, SHA-256, SHA-384, SHA-512. */
  readonly checksums: Readonly<Record<string, string>>;
  readonly range?: { readonly offset: number; readonly length: number };
}

export interface R2Listing {
  readonly objects: readonly R2ObjectInfo[];
  readonly truncated: boolean;
  readonly cursor?: string;
  readonly delimitedPrefixes: readonly string[];
}

export interface R2ErrorBody {
  readonly version: 1;
  readonly v4code: number;
  readonly message: string;
}
