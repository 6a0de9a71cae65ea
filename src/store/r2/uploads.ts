/** Multipart uploads of a bucket: parts arrive in any order and any number at a time, and become an object at once. */
import type {
  R2AbortUpload,
  R2CompleteUpload,
  R2CreateUpload,
  R2ObjectInfo,
} from "../../protocol/r2.ts";
import { R2Rejection } from "./failure.ts";
import { newVersion, type Arrived, type Objects } from "./objects.ts";
import { MAX_PARTS, MIN_PART_BYTES } from "./rules.ts";
import type { PartRow, UploadRow } from "./schema.ts";

/** That are remembered. */
const MOST_DONE = 10_000;

export type UploadSummary = Pick<UploadRow, "key" | "id" | "created">;

export class Uploads {
  readonly #sql: SqlStorage;
  readonly #objects: Objects;

  constructor(sql: SqlStorage, objects: Objects) {
    this.#sql = sql;
    this.#objects = objects;
  }

  create({ object, httpFields, customFields, storageClass }: R2CreateUpload): string {
    const id = crypto
      .getRandomValues(new Uint8Array(48))
      .toBase64({ alphabet: "base64url", omitPadding: true });
    this.#sql.exec(
      `INSERT INTO uploads (id, key, state, created, storage_class, http, custom) VALUES (?, ?, 'open', ?, ?, ?, ?)`,
      id,
      object,
      Date.now(),
      storageClass ?? "Standard",
      JSON.stringify(httpFields ?? {}),
      JSON.stringify(customFields ?? []),
    );
    return id;
  }

  requireOpen(key: string, id: string): UploadRow {
    const upload = this.#find(key, id);
    if (upload?.state !== "open") throw new R2Rejection("no-such-upload");
    return upload;
  }

  /** Its ETag. A part of the same number is replaced. */
  putPart(key: string, id: string, number: number, arrived: Arrived): string {
    this.requireOpen(key, id);
    const [earlier] = this.#parts(id, number);
    if (earlier !== undefined) {
      this.#objects.count(0, -earlier.size);
      this.#objects.dropParts(id, number);
    }
    this.#objects.addPiece(id, number, arrived);
    this.#objects.count(0, arrived.size);
    return arrived.md5;
  }

  /** `etag`: joinedEtag() of the same call. */
  complete(
    { object: key, uploadId: id, parts: wanted }: R2CompleteUpload,
    etag: string,
  ): R2ObjectInfo {
    const upload = this.#find(key, id);
    if (upload === undefined) throw new R2Rejection("internal-error");
    if (upload.state !== "open") throw new R2Rejection("no-such-upload");
    if (new Set(wanted.map(({ part }) => part)).size !== wanted.length) {
      throw new R2Rejection("internal-error");
    }
    const known = new Map(this.#parts(id).map((part) => [part.number, part]));
    const parts = wanted.map(({ part, etag }) => {
      const found = known.get(part);
      if (found?.md5 !== etag) throw new R2Rejection("invalid-part");
      return found;
    });
    if (parts.length === 0) throw new R2Rejection("bad-upload");
    refuseUneven(parts);
    parts.sort((a, b) => a.number - b.number);
    const version = newVersion();
    const size = parts.reduce((sum, part) => sum + part.size, 0);
    const dropped = [...known.values()].filter((part) => !parts.includes(part));
    for (const { number } of parts) {
      this.#sql.exec(
        `UPDATE pieces SET owner = ? WHERE owner = ? AND number = ?`,
        version,
        id,
        number,
      );
    }
    this.#objects.count(0, -dropped.reduce((sum, part) => sum + part.size, 0));
    this.#objects.dropParts(id);
    this.#close(id);
    return this.#objects.assemble({
      key,
      version,
      size,
      etag,
      uploaded: Date.now(),
      storage_class: upload.storage_class,
      checksums: "{}",
      http: upload.http,
      custom: upload.custom,
    });
  }

  /** Once more is no error. */
  abort({ object, uploadId }: Omit<R2AbortUpload, "method">): void {
    const upload = this.#find(object, uploadId);
    if (upload === undefined) throw new R2Rejection("internal-error");
    if (upload.state === "open") this.#end(upload);
  }

  /** Those that were created before then and have not been completed. */
  abortOlder(before: number, prefix: string): void {
    const old = this.#sql
      .exec<UploadRow>(`SELECT * FROM uploads WHERE state = 'open' AND created < ?`, before)
      .toArray()
      .filter(({ key }) => key.startsWith(prefix));
    for (const upload of old) this.#end(upload);
  }

  /** Those from before then, and all but the newest. */
  forgetDone(before: number): void {
    const [{ since } = { since: 0 }] = this.#sql.exec<{ since: number }>(
      `SELECT created AS since FROM uploads WHERE state = 'done' ORDER BY created DESC LIMIT 1 OFFSET ?`,
      MOST_DONE,
    );
    const forgotten = Math.max(before, since);
    this.#sql.exec(`DELETE FROM uploads WHERE state = 'done' AND created < ?`, forgotten);
  }

  list(prefix: string, after: { key: string; id: string }, limit: number): UploadSummary[] {
    const rows = this.#sql.exec<UploadRow>(
      `SELECT * FROM uploads WHERE state = 'open' AND key >= ? AND (key, id) > (?, ?) ORDER BY key, id LIMIT ?`,
      prefix,
      after.key,
      after.id,
      limit,
    );
    const found: UploadSummary[] = [];
    for (const { key, id, created } of rows) {
      if (!key.startsWith(prefix)) break;
      found.push({ key, id, created });
    }
    return found;
  }

  listParts(key: string, id: string, after: number, limit: number) {
    this.requireOpen(key, id);
    return this.#parts(id)
      .filter(({ number }) => number > after)
      .slice(0, limit)
      .map(({ number, size, md5, uploaded }) => ({ number, size, etag: md5, uploaded }));
  }

  #end({ id }: UploadRow): void {
    const bytes = this.#parts(id).reduce((sum, part) => sum + part.size, 0);
    this.#objects.count(0, -bytes);
    this.#objects.dropParts(id);
    this.#close(id);
  }

  #close(id: string): void {
    this.#sql.exec(
      `UPDATE uploads SET state = 'done', http = '{}', custom = '[]' WHERE id = ?`,
      id,
    );
  }

  #find(key: string, id: string): UploadRow | undefined {
    return this.#sql
      .exec<UploadRow>(`SELECT * FROM uploads WHERE id = ? AND key = ?`, id, key)
      .toArray()[0];
  }

  #parts(id: string, number?: number): PartRow[] {
    const only = number === undefined ? "" : ` AND number = ${number}`;
    return this.#sql
      .exec<PartRow>(
        `SELECT number, size, md5, uploaded, file FROM pieces WHERE owner = ?${only} ORDER BY number`,
        id,
      )
      .toArray();
  }
}

export function checkPartNumber(number: number): void {
  if (Number.isInteger(number) && number >= 1 && number <= MAX_PARTS) return;
  throw new R2Rejection("invalid-argument", {
    message: `Part number must be between 1 and ${MAX_PARTS} (inclusive). Actual value was: ${number}`,
  });
}

/** All parts but the last are of one size, and none is larger. */
function refuseUneven(given: readonly { number: number; size: number }[]): void {
  if (given.slice(0, -1).some(({ size }) => size < MIN_PART_BYTES)) {
    throw new R2Rejection("entity-too-small");
  }
  const parts = given.toSorted((a, b) => a.number - b.number);
  const [first] = parts;
  const last = parts.at(-1);
  if (first === undefined || last === undefined || first === last) return;
  const isEven = parts.slice(0, -1).every(({ size }) => size === first.size);
  if (!isEven || first.size < MIN_PART_BYTES || last.size > first.size) {
    throw new R2Rejection("bad-upload");
  }
}

/** MD5 of the parts' MD5s, with their number. */
export async function joinedEtag({ parts }: R2CompleteUpload): Promise<string> {
  const md5s = parts.toSorted((a, b) => a.part - b.part).map(({ etag }) => etag);
  // Of what is no MD5 there is no part.
  const isValid = md5s.every((md5) => /^[0-9a-f]{32}$/.test(md5));
  const bytes = isValid ? Uint8Array.fromHex(md5s.join("")) : new Uint8Array();
  const digest = await crypto.subtle.digest("MD5", bytes);
  return `${new Uint8Array(digest).toHex()}-${md5s.length}`;
}
