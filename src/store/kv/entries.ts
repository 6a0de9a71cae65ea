/** The rows of a KV namespace: keys with small values, or with the name of the file that a large one is in. */
import type { ChangeLog } from "./changes.ts";
import type { ListOptions } from "./rules.ts";

export interface Entry {
  /** null: it is in `file`. */
  readonly value: ArrayBuffer | null;
  readonly file: string | null;
  /** Of the value. */
  readonly size: number;
  /** JSON. */
  readonly metadata: string | null;
  /** Seconds since 1970. */
  readonly expiration: number | null;
}

export interface ListedKey {
  readonly name: string;
  readonly expiration?: number;
  /** JSON. */
  readonly metadata?: string;
}

/** What an alarm deletes in one turn. */
const MAX_EXPIRED_AT_ONCE = 500;

export class Entries {
  readonly #storage: DurableObjectStorage;
  readonly #sql: SqlStorage;
  readonly #changes: ChangeLog;

  /** `create` must have been called once for this database. */
  constructor(storage: DurableObjectStorage, changes: ChangeLog) {
    this.#storage = storage;
    this.#sql = storage.sql;
    this.#changes = changes;
  }

  /** `leftover` holds files that no row leads to: those under way, and those that were replaced. */
  create(): void {
    this.#sql.exec(`
      CREATE TABLE IF NOT EXISTS entries (
        key TEXT PRIMARY KEY, value BLOB, file TEXT, size INTEGER NOT NULL,
        bytes INTEGER NOT NULL, metadata TEXT, expiration INTEGER
      ) STRICT;
      CREATE INDEX IF NOT EXISTS entries_by_expiration ON entries (expiration) WHERE expiration IS NOT NULL;
      CREATE TABLE IF NOT EXISTS totals (id INTEGER PRIMARY KEY, keys INTEGER NOT NULL, bytes INTEGER NOT NULL) STRICT;
      INSERT OR IGNORE INTO totals VALUES (0, 0, 0);
      CREATE TABLE IF NOT EXISTS leftover (file TEXT PRIMARY KEY) STRICT;
    `);
  }

  totals(): { readonly keys: number; readonly bytes: number } {
    return this.#sql.exec<{ keys: number; bytes: number }>(`SELECT keys, bytes FROM totals`).one();
  }

  /** Without those that have expired. */
  get(key: string, nowSeconds: number): Entry | undefined {
    const [row] = this.#sql.exec<Entry & Record<string, SqlStorageValue>>(
      `SELECT value, file, size, metadata, expiration FROM entries WHERE key = ?`,
      key,
    );
    return row === undefined || isExpired(row, nowSeconds) ? undefined : row;
  }

  /** What there is to be had for a key: its share of the totals. */
  bytesOf(key: string): number | undefined {
    const [row] = this.#sql.exec<{ bytes: number }>(`SELECT bytes FROM entries WHERE key = ?`, key);
    return row?.bytes;
  }

  /** `bytes`: what it counts for. */
  put(key: string, entry: Entry, bytes: number): void {
    this.#storage.transactionSync(() => {
      this.#remove(key);
      const { value, file, size, metadata, expiration } = entry;
      this.#sql.exec(
        `INSERT INTO entries (key, value, file, size, bytes, metadata, expiration) VALUES (?, ?, ?, ?, ?, ?, ?)`,
        key,
        value,
        file,
        size,
        bytes,
        metadata,
        expiration,
      );
      this.#sql.exec(`UPDATE totals SET keys = keys + 1, bytes = bytes + ?`, bytes);
      if (file !== null) this.#sql.exec(`DELETE FROM leftover WHERE file = ?`, file);
      this.#changes.note("put", key);
    });
  }

  delete(key: string): void {
    this.#storage.transactionSync(() => {
      if (this.#remove(key)) this.#changes.note("delete", key);
    });
  }

  /** Up to one key more than asked for, which shows that there are more. */
  list({ limit, prefix, after }: ListOptions, nowSeconds: number): ListedKey[] {
    const end = endOfPrefix(prefix);
    return this.#sql
      .exec<{ key: string; metadata: string | null; expiration: number | null }>(
        `SELECT key, metadata, expiration FROM entries
         WHERE key >= ? AND key > ? ${end === undefined ? "" : "AND key < ?"}
           AND (expiration IS NULL OR expiration > ?)
         ORDER BY key LIMIT ?`,
        prefix,
        after ?? "",
        ...(end === undefined ? [] : [end]),
        nowSeconds,
        limit + 1,
      )
      .toArray()
      .map(({ key, metadata, expiration }) => ({
        name: key,
        ...(expiration !== null && { expiration }),
        ...(metadata !== null && { metadata }),
      }));
  }

  /** When the next one expires: seconds since 1970, or null. */
  nextExpiration(): number | null {
    return this.#sql
      .exec<{ next: number | null }>(
        `SELECT MIN(expiration) AS next FROM entries WHERE expiration IS NOT NULL`,
      )
      .one().next;
  }

  deleteExpired(nowSeconds: number): void {
    const keys = this.#sql
      .exec<{ key: string }>(
        `SELECT key FROM entries WHERE expiration <= ? ORDER BY expiration LIMIT ?`,
        nowSeconds,
        MAX_EXPIRED_AT_ONCE,
      )
      .toArray();
    for (const { key } of keys) this.delete(key);
  }

  /** Before a file is written: if its row never comes, it is swept. */
  announce(file: string): void {
    this.#sql.exec(`INSERT INTO leftover (file) VALUES (?)`, file);
  }

  leftover(): string[] {
    return this.#sql
      .exec<{ file: string }>(`SELECT file FROM leftover`)
      .toArray()
      .map(({ file }) => file);
  }

  isLeftover(file: string): boolean {
    return this.#sql.exec(`SELECT 1 FROM leftover WHERE file = ?`, file).toArray().length > 0;
  }

  swept(file: string): void {
    this.#sql.exec(`DELETE FROM leftover WHERE file = ?`, file);
  }

  #remove(key: string): boolean {
    const [row] = this.#sql
      .exec<{ bytes: number; file: string | null }>(
        `DELETE FROM entries WHERE key = ? RETURNING bytes, file`,
        key,
      )
      .toArray();
    if (row === undefined) return false;
    this.#sql.exec(`UPDATE totals SET keys = keys - 1, bytes = bytes - ?`, row.bytes);
    if (row.file !== null) this.announce(row.file);
    return true;
  }
}

function isExpired({ expiration }: Entry, nowSeconds: number): boolean {
  return expiration !== null && expiration <= nowSeconds;
}

/** The first text behind all that begin with `prefix`, in the order of their UTF-8; undefined: there is none. */
function endOfPrefix(prefix: string): string | undefined {
  const points = [...prefix].map((character) => character.codePointAt(0) ?? 0);
  while (points.length > 0) {
    const last = points.pop() ?? 0;
    if (last === 0x10ffff) continue;
    // Surrogates are no characters of their own.
    return String.fromCodePoint(...points, last === 0xd7ff ? 0xe000 : last + 1);
  }
  return undefined;
}
