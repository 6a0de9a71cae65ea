/** What Cloudflare allows of keys, values and options, and how it says no: the binding shows status and text. */

export const MAX_KEY_BYTES = 512;
export const MAX_VALUE_BYTES = 25 * 1024 * 1024;
export const MAX_METADATA_BYTES = 1024;
export const MAX_BULK_KEYS = 100;
/** Of what asks for them: each byte of a key may take six. */
export const MAX_BULK_CALL_BYTES = 1024 * 1024;
/** Of a bulk get, all values together. */
const MAX_BULK_BYTES = 25 * 1024 * 1024;
const MAX_LISTED = 1000;
const MIN_TTL_SECONDS = 60;
const MIN_CACHE_TTL_SECONDS = 30;

/** Refused: the whole answer is in the status line. */
export class KvRejection extends Error {
  override readonly name = "KvRejection";
  readonly status: number;

  constructor(status: number, message: string) {
    super(message);
    this.status = status;
  }
}

const encoder = new TextEncoder();

export function byteLength(text: string): number {
  return encoder.encode(text).byteLength;
}

export function checkKey(key: string): void {
  if (key === "") throw new KvRejection(400, "Key names must not be empty");
  if (key === "." || key === "..") {
    throw new KvRejection(400, `Illegal key name "${key}". Please use a different name.`);
  }
  checkKeyLength(key);
}

function checkKeyLength(key: string): void {
  const length = byteLength(key);
  if (length <= MAX_KEY_BYTES) return;
  throw new KvRejection(
    414,
    `UTF-8 encoded length of ${length} exceeds key length limit of ${MAX_KEY_BYTES}.`,
  );
}

export function checkCacheTtl(ttl: unknown): void {
  if (ttl === undefined || ttl === null) return;
  const seconds = Math.trunc(Number(ttl));
  if (seconds >= MIN_CACHE_TTL_SECONDS) return;
  throw new KvRejection(
    400,
    `Invalid cache_ttl of ${seconds}. Cache TTL must be at least ${MIN_CACHE_TTL_SECONDS}.`,
  );
}

/** Seconds since 1970, or null: it stays. A ttl goes before an absolute time. */
export function expirationOf(
  ttl: string | null,
  expiration: string | null,
  nowSeconds: number,
): number | null {
  if (ttl !== null) {
    const seconds = readSeconds("expiration_ttl", ttl, 0, "integer greater than 0.");
    if (seconds >= MIN_TTL_SECONDS) return nowSeconds + seconds;
    throw new KvRejection(
      400,
      `Invalid expiration_ttl of ${ttl}. Expiration TTL must be at least ${MIN_TTL_SECONDS}.`,
    );
  }
  if (expiration === null) return null;
  const at = readSeconds(
    "expiration",
    expiration,
    nowSeconds,
    "integer greater than the current number of seconds since the UNIX epoch.",
  );
  if (at >= nowSeconds + MIN_TTL_SECONDS) return at;
  throw new KvRejection(
    400,
    `Invalid expiration of ${expiration}. Expiration times must be at least ${MIN_TTL_SECONDS} seconds in the future.`,
  );
}

function readSeconds(name: string, text: string, above: number, wanted: string): number {
  const seconds = Number.parseInt(text, 10);
  if (seconds > above) return seconds;
  throw new KvRejection(400, `Invalid ${name} of ${text}. Please specify ${wanted}`);
}

/** Of JSON, with or without escapes, that which has the fewest. */
export function checkMetadata(text: string | null): string | null {
  if (text === null) return null;
  const json = withoutEscapes(text);
  const length = byteLength(json);
  if (length <= MAX_METADATA_BYTES) return json;
  throw new KvRejection(
    413,
    `Metadata length of ${length} exceeds limit of ${MAX_METADATA_BYTES}.`,
  );
}

function withoutEscapes(text: string): string {
  try {
    return JSON.stringify(JSON.parse(text));
  } catch {
    throw new KvRejection(400, "Metadata is not valid JSON");
  }
}

export function valueTooLarge(length: number): KvRejection {
  return new KvRejection(413, `Value length of ${length} exceeds limit of ${MAX_VALUE_BYTES}.`);
}

export interface ListOptions {
  readonly limit: number;
  readonly prefix: string;
  /** The last key that was listed; null: from the beginning. */
  readonly after: string | null;
}

export function listOptionsOf(query: URLSearchParams): ListOptions {
  const text = query.get("key_count_limit");
  const limit = text === null ? MAX_LISTED : Number.parseInt(text, 10);
  if (!(limit >= 1)) {
    throw new KvRejection(
      400,
      `Invalid key_count_limit of ${limit}. Please specify an integer greater than 0.`,
    );
  }
  if (limit > MAX_LISTED) {
    throw new KvRejection(
      400,
      `Invalid key_count_limit of ${limit}. Please specify an integer less than ${MAX_LISTED}.`,
    );
  }
  const prefix = query.get("prefix") ?? "";
  checkKeyLength(prefix);
  const cursor = query.get("cursor");
  return { limit, prefix, after: cursor === null || cursor === "" ? null : keyOfCursor(cursor) };
}

export function cursorAfter(key: string): string {
  return encoder.encode(key).toBase64({ alphabet: "base64url" });
}

function keyOfCursor(cursor: string): string {
  try {
    return new TextDecoder().decode(Uint8Array.fromBase64(cursor, { alphabet: "base64url" }));
  } catch {
    throw new KvRejection(400, "Invalid cursor. Use the one that the previous list returned.");
  }
}

export interface BulkGet {
  readonly keys: readonly string[];
  readonly type: "text" | "json";
  readonly withMetadata: boolean;
}

/** `body`: null if there was too much of it. */
export function bulkGetOf(body: string | null): BulkGet {
  if (body === null) {
    throw new KvRejection(413, `You can request keys in up to ${MAX_BULK_CALL_BYTES} bytes`);
  }
  const { keys, type = "text", withMetadata, cacheTtl } = wantedOf(body);
  if (keys !== undefined && !isTexts(keys)) throw new KvRejection(400, "keys must be strings");
  if (type !== "text" && type !== "json") {
    throw new KvRejection(400, `"${String(type)}" is not a valid type. Use "json" or "text"`);
  }
  const count = keys?.length ?? 0;
  if (count > MAX_BULK_KEYS) {
    throw new KvRejection(400, `You can request a maximum of ${MAX_BULK_KEYS} keys`);
  }
  if (keys === undefined || count < 1) {
    throw new KvRejection(400, "You must request a minimum of 1 key");
  }
  for (const key of keys) checkKey(key);
  checkCacheTtl(cacheTtl);
  return { keys, type, withMetadata: withMetadata === true };
}

interface Wanted extends Omit<Partial<BulkGet>, "keys"> {
  readonly keys?: unknown;
  readonly cacheTtl?: unknown;
}

function wantedOf(body: string): Wanted {
  try {
    return Object(JSON.parse(body)) as Wanted;
  } catch {
    throw new KvRejection(400, "The request is not valid JSON");
  }
}

function isTexts(value: unknown): value is readonly string[] {
  return Array.isArray(value) && value.every((each) => typeof each === "string");
}

export function checkBulkSize(bytes: number): void {
  if (bytes <= MAX_BULK_BYTES) return;
  const megabytes = MAX_BULK_BYTES / 1024 / 1024;
  throw new KvRejection(413, `Total size of request exceeds the limit of ${megabytes}MB`);
}
