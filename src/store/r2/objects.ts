/** Objects of a bucket in its tables: what is there, what a call makes of it, and which files nothing needs any more. */
import type {
  R2Get,
  R2HttpFields,
  R2ObjectInfo,
  R2OnlyIf,
  R2Pair,
  R2Put,
} from "../../protocol/r2.ts";
import { R2Rejection } from "./failure.ts";
import { holds, rangeOf, type ByteRange } from "./rules.ts";
import type { ObjectRow } from "./schema.ts";

/** Content that has arrived. */
export interface Arrived {
  readonly size: number;
  /** Hex. */
  readonly md5: string;
  readonly content: { readonly file: string } | { readonly bytes: Uint8Array };
}

export interface NewObject extends Pick<
  R2Put,
  "object" | "onlyIf" | "httpFields" | "customFields" | "storageClass"
> {
  readonly checksums: Readonly<Record<string, string>>;
  readonly arrived: Arrived;
}

/** A part of what was asked for. `offset` and `length` within it. */
export interface Piece {
  readonly content: { readonly file: string } | { readonly bytes: ArrayBuffer };
  readonly offset: number;
  readonly length: number;
}

export interface Opened {
  readonly object: R2ObjectInfo;
  readonly pieces: readonly Piece[];
  readonly length: number;
}

/** How long the pieces of a replaced object stay, so that who reads one after the other comes to the end. */
const MANY_PIECES_STAY_MS = 10 * 60_000;

export class Objects {
  readonly #sql: SqlStorage;

  constructor(sql: SqlStorage) {
    this.#sql = sql;
  }

  find(key: string): ObjectRow | undefined {
    return this.#sql.exec<ObjectRow>(`SELECT * FROM objects WHERE key = ?`, key).toArray()[0];
  }

  head(key: string): R2ObjectInfo {
    const row = this.find(key);
    if (row === undefined) throw new R2Rejection("no-such-key");
    return describe(row, { offset: 0, length: row.size });
  }

  checkPrecondition(key: string, onlyIf: R2OnlyIf | undefined): void {
    if (onlyIf === undefined || holds(onlyIf, this.find(key))) return;
    throw new R2Rejection("precondition-failed");
  }

  open(call: R2Get): Opened {
    const row = this.find(call.object);
    if (row === undefined) throw new R2Rejection("no-such-key");
    const whole = { offset: 0, length: row.size };
    if (call.onlyIf !== undefined && !holds(call.onlyIf, row)) {
      throw new R2Rejection("precondition-failed", { object: describe(row, whole) });
    }
    const range = rangeOf(call, row.size) ?? whole;
    return {
      object: describe(row, range),
      pieces: this.#pieces(row.version, range),
      length: range.length,
    };
  }

  put({ object: key, onlyIf, arrived, checksums, ...described }: NewObject): R2ObjectInfo {
    this.checkPrecondition(key, onlyIf);
    const version = newVersion();
    const { size, md5 } = arrived;
    this.addPiece(version, 1, arrived);
    this.#replace({
      key,
      version,
      size,
      etag: md5,
      uploaded: Date.now(),
      storage_class: described.storageClass ?? "Standard",
      checksums: JSON.stringify(checksums),
      http: JSON.stringify(described.httpFields ?? {}),
      custom: JSON.stringify(described.customFields ?? []),
    });
    this.count(1, size);
    return this.#made(key);
  }

  /** Makes an object of pieces that are there already, and counted. */
  assemble(row: ObjectRow): R2ObjectInfo {
    this.#replace(row);
    this.count(1, 0);
    return this.#made(row.key);
  }

  /** What was there; undefined: nothing. */
  delete(key: string): ObjectRow | undefined {
    const row = this.find(key);
    if (row === undefined) return undefined;
    this.#sql.exec(`DELETE FROM objects WHERE key = ?`, key);
    this.count(-1, -row.size);
    this.#dropPieces(row.version);
    return row;
  }

  addPiece(owner: string, number: number, { size, md5, content }: Arrived): void {
    const file = "file" in content ? content.file : null;
    if (file !== null) this.#claim(file);
    this.#sql.exec(
      `INSERT INTO pieces (owner, number, size, md5, uploaded, file, bytes) VALUES (?, ?, ?, ?, ?, ?, ?)`,
      owner,
      number,
      size,
      md5,
      Date.now(),
      file,
      "bytes" in content ? content.bytes : null,
    );
  }

  /** Of an upload, which nobody reads; else as `#dropPieces`. */
  dropParts(upload: string, number?: number): void {
    this.#drop(upload, number, 0);
  }

  count(objects: number, bytes: number): void {
    this.#sql.exec(`UPDATE usage SET objects = objects + ?, bytes = bytes + ?`, objects, bytes);
  }

  /** Their files become garbage; they are no more counted as contents by whoever calls. */
  #dropPieces(version: string): void {
    const { many } = this.#sql
      .exec<{ many: number }>(`SELECT COUNT(*) > 1 AS many FROM pieces WHERE owner = ?`, version)
      .one();
    this.#drop(version, undefined, many ? Date.now() + MANY_PIECES_STAY_MS : 0);
  }

  #drop(owner: string, number: number | undefined, due: number): void {
    const where = `WHERE owner = ?${number === undefined ? "" : ` AND number = ${number}`}`;
    this.#sql.exec(
      `INSERT INTO files (file, state, life, due, bytes)
       SELECT file, 'garbage', '', ?, size FROM pieces ${where} AND file IS NOT NULL`,
      due,
      owner,
    );
    this.#sql.exec(`DELETE FROM pieces ${where}`, owner);
  }

  #made(key: string): R2ObjectInfo {
    return describe(this.find(key) as ObjectRow);
  }

  #replace(row: ObjectRow): void {
    this.delete(row.key);
    this.#sql.exec(
      `INSERT INTO objects (key, version, size, etag, uploaded, storage_class, checksums, http, custom)
       VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)`,
      row.key,
      row.version,
      row.size,
      row.etag,
      row.uploaded,
      row.storage_class,
      row.checksums,
      row.http,
      row.custom,
    );
  }

  /** From now on a piece owns it. */
  #claim(file: string): void {
    const { rowsWritten } = this.#sql.exec(
      `DELETE FROM files WHERE file = ? AND state = 'arriving'`,
      file,
    );
    if (rowsWritten === 0) throw new R2Rejection("internal-error");
  }

  #pieces(version: string, { offset, length }: ByteRange): Piece[] {
    const end = offset + length;
    let start = 0;
    const found: Piece[] = [];
    const sizes = this.#sql.exec<{ number: number; size: number; file: string | null }>(
      `SELECT number, size, file FROM pieces WHERE owner = ? ORDER BY number`,
      version,
    );
    for (const { number, size, file } of sizes) {
      const from = Math.max(offset, start);
      const to = Math.min(end, start + size);
      if (from < to) {
        const content = file === null ? { bytes: this.#bytes(version, number) } : { file };
        found.push({ content, offset: from - start, length: to - from });
      }
      start += size;
    }
    return found;
  }

  #bytes(owner: string, number: number): ArrayBuffer {
    const { bytes } = this.#sql
      .exec<{ bytes: ArrayBuffer }>(
        `SELECT bytes FROM pieces WHERE owner = ? AND number = ?`,
        owner,
        number,
      )
      .one();
    return bytes;
  }
}

export function newVersion(): string {
  return crypto.getRandomValues(new Uint8Array(16)).toHex();
}

export function describe(row: ObjectRow, range?: ByteRange): R2ObjectInfo {
  return {
    name: row.key,
    version: row.version,
    size: row.size,
    etag: row.etag,
    uploaded: row.uploaded,
    httpFields: JSON.parse(row.http) as R2HttpFields,
    customFields: JSON.parse(row.custom) as R2Pair[],
    storageClass: row.storage_class,
    checksums: JSON.parse(row.checksums) as Record<string, string>,
    ...(range && { range }),
  };
}
