/** What hub and store say of KV beyond the protocol of the binding: many keys at once. */

export interface KvPair {
  readonly key: string;
  /** Base64. */
  readonly value: string;
  /** JSON. */
  readonly metadata: string | null;
  /** Seconds since 1970, as they were given. */
  readonly expiration: string | null;
  readonly expirationTtl: string | null;
}

/** The same JSON in a header, where the runtime warns of anything but ASCII. */
export function asciiJson(json: string): string {
  return json.replace(
    /[^ -~]/g,
    (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}

/** Pairs, or keys, of one call. */
export const MAX_BULK_PAIRS = 10_000;
