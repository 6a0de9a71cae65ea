/** HTTP headers and what R2 keeps of them, in both directions: for the REST API and the S3 API alike. */
import type { R2Etag, R2HttpFields, R2ObjectInfo, R2OnlyIf } from "../../protocol/r2.ts";

const FIELDS = [
  ["contentType", "content-type"],
  ["contentLanguage", "content-language"],
  ["contentDisposition", "content-disposition"],
  ["contentEncoding", "content-encoding"],
  ["cacheControl", "cache-control"],
] as const satisfies readonly (readonly [keyof R2HttpFields, string])[];

export function fieldsOf(headers: Headers): R2HttpFields {
  const given = FIELDS.flatMap(([field, name]) => {
    const value = headers.get(name);
    return value === null ? [] : [[field, value]];
  });
  const expiry = Date.parse(headers.get("expires") ?? "");
  return {
    ...(Object.fromEntries(given) as R2HttpFields),
    ...(!Number.isNaN(expiry) && { cacheExpiry: expiry }),
  };
}

/** `asked`: the request had a range. */
export function headersOf(info: R2ObjectInfo, asked: boolean): Headers {
  const headers = new Headers({
    etag: `"${info.etag}"`,
    "last-modified": new Date(info.uploaded).toUTCString(),
    "accept-ranges": "bytes",
  });
  for (const [field, name] of FIELDS) {
    const value = info.httpFields[field];
    if (value !== undefined) headers.set(name, value);
  }
  const { cacheExpiry } = info.httpFields;
  if (cacheExpiry !== undefined) {
    headers.set("expires", new Date(Number(cacheExpiry)).toUTCString());
  }
  const { offset = 0, length = info.size } = info.range ?? {};
  if (asked && length < info.size) {
    headers.set("content-range", `bytes ${offset}-${offset + length - 1}/${info.size}`);
  }
  return headers;
}

/** Of `If-Match` and its kind. Dates that are none are as if they were not there. */
export function conditionsOf(headers: Headers): { onlyIf?: R2OnlyIf } {
  const time = (name: string) => {
    const at = Date.parse(headers.get(name) ?? "");
    return Number.isNaN(at) ? undefined : at;
  };
  const etagMatches = etagsOf(headers.get("if-match"));
  const etagDoesNotMatch = etagsOf(headers.get("if-none-match"));
  const uploadedBefore = time("if-unmodified-since");
  const uploadedAfter = time("if-modified-since");
  const onlyIf: R2OnlyIf = {
    ...(etagMatches && { etagMatches }),
    ...(etagDoesNotMatch && { etagDoesNotMatch }),
    // Of the same second is not later.
    ...(uploadedBefore !== undefined && { uploadedBefore: uploadedBefore + 1000 }),
    ...(uploadedAfter !== undefined && { uploadedAfter }),
    secondsGranularity: true,
  };
  return Object.keys(onlyIf).length === 1 ? {} : { onlyIf };
}

function etagsOf(header: string | null): R2Etag[] | undefined {
  if (header === null) return undefined;
  return header
    .split(",")
    .map((text) => text.trim())
    .filter((text) => text !== "")
    .map((text) => {
      if (text === "*") return { type: "wildcard" };
      const type = text.startsWith("W/") ? "weak" : "strong";
      return { type, value: text.replace(/^W\//, "").replace(/^"|"$/g, "") };
    });
}
