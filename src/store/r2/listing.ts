/** Pages of a bucket's keys, in the order of their UTF-8 bytes. A group of keys with one delimited prefix is stepped over at once. */
import type { R2List, R2Listing, R2ObjectInfo } from "../../protocol/r2.ts";
import { R2Rejection } from "./failure.ts";
import { describe } from "./objects.ts";
import { MAX_LISTED } from "./rules.ts";
import type { ObjectRow } from "./schema.ts";

/** The runtime takes no more than 1 MiB. In characters of JSON, of which few are more than a byte. */
const MAX_PAGE_CHARACTERS = 384 * 1024;

/** Where a page begins: after a key, or after all keys with a prefix. */
type Place = { readonly after: string } | { readonly past: string };

export function listObjects(sql: SqlStorage, call: R2List): R2Listing {
  const { prefix = "", limit = MAX_LISTED, delimiter = "", include = [] } = call;
  if (limit < 1 || limit > MAX_LISTED) throw new R2Rejection("invalid-max-keys");
  const objects: R2ObjectInfo[] = [];
  const delimitedPrefixes: string[] = [];
  let place = beginning(call);
  let characters = 0;
  for (;;) {
    let group: string | undefined;
    for (const row of rowsFrom(sql, prefix, place)) {
      if (!row.key.startsWith(prefix)) return page({ truncated: false });
      const isFull = objects.length + delimitedPrefixes.length >= limit;
      if (isFull || characters > MAX_PAGE_CHARACTERS) {
        return page({ truncated: true, cursor: textOf(place as Place) });
      }
      group = groupOf(row.key, prefix, delimiter);
      if (group !== undefined) {
        delimitedPrefixes.push(group);
        characters += group.length;
        place = { past: group };
        break;
      }
      const object = shown(row, include);
      objects.push(object);
      characters += JSON.stringify(object).length;
      place = { after: row.key };
    }
    if (group === undefined) return page({ truncated: false });
  }

  function page(end: Pick<R2Listing, "truncated" | "cursor">): R2Listing {
    return { objects, ...end, delimitedPrefixes };
  }
}

function shown(row: ObjectRow, include: readonly number[]): R2ObjectInfo {
  return describe({
    ...row,
    http: include.includes(0) ? row.http : "{}",
    custom: include.includes(1) ? row.custom : "[]",
  });
}

function groupOf(key: string, prefix: string, delimiter: string): string | undefined {
  if (delimiter === "") return undefined;
  const at = key.indexOf(delimiter, prefix.length);
  return at === -1 ? undefined : key.slice(0, at + delimiter.length);
}

function rowsFrom(sql: SqlStorage, prefix: string, place: Place | undefined) {
  const after = place !== undefined && "after" in place ? place.after : "";
  const bound = place !== undefined && "past" in place ? successor(place.past) : after;
  return sql.exec<ObjectRow>(
    `SELECT * FROM objects WHERE key >= max(?, CAST(? AS TEXT)) AND key <> ? ORDER BY key`,
    prefix,
    bound,
    after,
  );
}

/** The least bytes that are more than all that begin with these. */
function successor(prefix: string): ArrayBufferLike {
  const bytes = new TextEncoder().encode(prefix);
  // No byte of UTF-8 is 0xff, so that one more always exists.
  const last = bytes.byteLength - 1;
  bytes[last] = (bytes[last] ?? 0) + 1;
  return bytes.buffer;
}

function beginning({ cursor, startAfter }: R2List): Place | undefined {
  const place = cursor === undefined ? undefined : placeOf(cursor);
  if (startAfter === undefined) return place;
  if (place === undefined) return { after: startAfter };
  const reached = "after" in place ? place.after : place.past;
  return reached > startAfter ? place : { after: startAfter };
}

function textOf(place: Place): string {
  const text = "after" in place ? `k${place.after}` : `p${place.past}`;
  return new TextEncoder().encode(text).toBase64({ alphabet: "base64url", omitPadding: true });
}

function placeOf(cursor: string): Place {
  let text = "";
  try {
    const bytes = Uint8Array.fromBase64(cursor, { alphabet: "base64url" });
    text = new TextDecoder().decode(bytes);
  } catch {
    // Not base64: refused below.
  }
  if (text.startsWith("k")) return { after: text.slice(1) };
  if (text.startsWith("p")) return { past: text.slice(1) };
  throw new R2Rejection("invalid-argument", { message: "This cursor is of no earlier list()." });
}
