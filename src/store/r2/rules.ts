/** What R2 asks of a call, without its storage: limits, preconditions, ranges, and whether checksums agree. */
import type {
  R2Get,
  R2HttpFields,
  R2OnlyIf,
  R2Pair,
  R2Put,
  R2UploadPart,
} from "../../protocol/r2.ts";
import { R2Rejection } from "./failure.ts";

export const MAX_KEY_BYTES = 1024;
const MAX_METADATA_BYTES = 8192;
/** 5 GiB less 5 MiB, for one put or one part. */
export const MAX_VALUE_BYTES = 5 * 2 ** 30 - 5 * 2 ** 20;
export const MIN_PART_BYTES = 5 * 2 ** 20;
export const MAX_PARTS = 10_000;
export const MAX_LISTED = 1000;
export const MAX_DELETED = 1000;

export function checkKey(key: string): void {
  if (new TextEncoder().encode(key).byteLength <= MAX_KEY_BYTES) return;
  throw new R2Rejection("invalid-object-name");
}

export function checkDescription(call: {
  readonly customFields?: readonly R2Pair[];
  readonly httpFields?: R2HttpFields;
  readonly ssec?: unknown;
  readonly storageClass?: string;
}): void {
  refuseCustomerKey(call.ssec);
  const bytes = (call.customFields ?? []).reduce(
    (sum, { k, v }) => sum + metadataBytes(k) + metadataBytes(v),
    0,
  );
  const http = new TextEncoder().encode(JSON.stringify(call.httpFields ?? {})).byteLength;
  if (bytes > MAX_METADATA_BYTES || http > MAX_METADATA_BYTES) {
    throw new R2Rejection("metadata-too-large");
  }
  const { storageClass } = call;
  if (storageClass === undefined || STORAGE_CLASSES.has(storageClass)) return;
  throw new R2Rejection("invalid-argument", {
    message: `The storage class '${storageClass}' does not exist; use Standard or InfrequentAccess.`,
  });
}

const STORAGE_CLASSES: ReadonlySet<string> = new Set(["Standard", "InfrequentAccess"]);

export function refuseCustomerKey(ssec: unknown): void {
  if (ssec === undefined) return;
  throw new R2Rejection("not-implemented", {
    message: "ssecKey is not supported by this platform: encrypt before you put, or leave it out.",
  });
}

/** As Cloudflare counts: two bytes a character if one of them does not fit into one. */
function metadataBytes(text: string): number {
  for (let index = 0; index < text.length; index++) {
    if (text.charCodeAt(index) >= 256) return text.length * 2;
  }
  return text.length;
}

/** `object`: the one that is there, if any. RFC 9110, 13.2.2. */
export function holds(
  onlyIf: R2OnlyIf,
  object: { readonly etag: string; readonly uploaded: number } | undefined,
): boolean {
  const { etagMatches, etagDoesNotMatch, uploadedBefore, uploadedAfter } = onlyIf;
  if (object === undefined) return etagMatches === undefined && uploadedAfter === undefined;
  const time = (value: number | string) =>
    onlyIf.secondsGranularity ? Math.floor(Number(value) / 1000) : Number(value);
  const { etag } = object;
  const uploaded = time(object.uploaded);
  const matches = etagMatches?.some(
    (one) => one.type === "wildcard" || (one.type === "strong" && one.value === etag),
  );
  const differs = !etagDoesNotMatch?.some((one) => one.type === "wildcard" || one.value === etag);
  return (
    matches !== false &&
    differs &&
    (uploadedAfter === undefined ||
      time(uploadedAfter) < uploaded ||
      (etagDoesNotMatch !== undefined && differs)) &&
    (uploadedBefore === undefined || uploaded < time(uploadedBefore) || matches === true)
  );
}

export interface ByteRange {
  readonly offset: number;
  readonly length: number;
}

/** undefined: all of it. */
export function rangeOf({ range, rangeHeader }: R2Get, size: number): ByteRange | undefined {
  if (rangeHeader !== undefined) return headerRange(rangeHeader, size);
  if (range === undefined) return undefined;
  const number = (value: number | string | undefined) =>
    value === undefined ? undefined : Number(value);
  const suffix = number(range.suffix);
  if (suffix !== undefined) {
    if (suffix <= 0) throw new R2Rejection("invalid-range");
    const length = Math.min(suffix, size);
    return { offset: size - length, length };
  }
  const offset = number(range.offset) ?? 0;
  const length = number(range.length) ?? size - offset;
  if (offset > size || length <= 0) throw new R2Rejection("invalid-range");
  return { offset, length: Math.min(length, size - offset) };
}

/** One range of `Range`; of several, or of none that makes sense, there is no range. */
function headerRange(header: string, size: number): ByteRange | undefined {
  const parts = /^\s*bytes\s*=\s*(\d*)\s*-\s*(\d*)\s*$/i.exec(header);
  const [, first = "", last = ""] = parts ?? [];
  if (first === "") {
    const length = Math.min(Number(last), size);
    return last === "" || length === 0 ? undefined : { offset: size - length, length };
  }
  const offset = Number(first);
  const end = last === "" ? size - 1 : Math.min(Number(last), size - 1);
  return offset > end ? undefined : { offset, length: end - offset + 1 };
}

export const ALGORITHMS = [
  { field: "md5", name: "MD5", number: "0" },
  { field: "sha1", name: "SHA-1", number: "1" },
  { field: "sha256", name: "SHA-256", number: "2" },
  { field: "sha384", name: "SHA-384", number: "3" },
  { field: "sha512", name: "SHA-512", number: "4" },
] as const;
export type Algorithm = (typeof ALGORITHMS)[number];

/** MD5 always, since it is the ETag; the others where the caller gave one. */
export function algorithmsFor(call: R2Put | R2UploadPart): Algorithm[] {
  return ALGORITHMS.filter(({ field }) => field === "md5" || field in call);
}

/** `actual`: hex by algorithm. The checksums to be kept, by number. */
export function verifiedChecksums(
  call: R2Put | R2UploadPart,
  actual: ReadonlyMap<string, string>,
): Record<string, string> {
  const checksums: Record<string, string> = {};
  for (const { field, name, number } of algorithmsFor(call)) {
    const found = actual.get(name) ?? "";
    const given = (call as Partial<R2Put>)[field];
    const wanted = field === "md5" && given !== undefined ? base64ToHex(given) : given;
    if (wanted !== undefined && wanted.toLowerCase() !== found) {
      throw new R2Rejection("bad-digest", {
        message: [
          `The ${name} checksum you specified did not match what we received.`,
          `You provided a ${name} checksum with value: ${wanted}`,
          `Actual ${name} was: ${found}`,
        ].join("\n"),
      });
    }
    checksums[number] = found;
  }
  return checksums;
}

function base64ToHex(text: string): string {
  return Uint8Array.fromBase64(text).toHex();
}
