/**
 * What a bucket keeps. Contents are pieces: one for an object that was put, one per part for a multipart upload. Small
 * pieces are in `bytes`; others in a file of their own, `files.ts` says where.
 *
 *   config   the latest StoreConfig, in one row
 *   objects  by key. `http` and `custom` are R2HttpFields and R2Pair[] as JSON, `checksums` too
 *   pieces   `owner` is the version of an object, or the id of an upload that has not been completed
 *   uploads  `state`: open, done. Those that are done stay for a week, so that a repeated call is told from a wrong one
 *   files    those that no piece owns: `state` is `arriving` (written by the process `life`) or `garbage` (to be deleted
 *            when `due` has come, of so many `bytes`). Whatever a crash leaves behind is in here
 *   usage    one row: objects, and bytes of contents, with those of uploads under way. `overhead`, which triggers count: bytes of
 *            rows with what they describe, and of garbage
 *
 * The changes that somebody wants to be told of are in the tables of `../changes/outbox.ts`.
 */
/** A row with its places in indexes, without its texts. */
const ROW_BYTES = 200;

/** All that there are, as JSON. */
const MAX_CHECKSUMS_BYTES = 500;

const SCHEMA = `
  CREATE TABLE IF NOT EXISTS config (one INTEGER PRIMARY KEY CHECK (one = 1), config TEXT NOT NULL) STRICT;
  CREATE TABLE IF NOT EXISTS objects (
    key TEXT PRIMARY KEY,
    version TEXT NOT NULL,
    size INTEGER NOT NULL,
    etag TEXT NOT NULL,
    uploaded INTEGER NOT NULL,
    storage_class TEXT NOT NULL,
    checksums TEXT NOT NULL,
    http TEXT NOT NULL,
    custom TEXT NOT NULL
  ) STRICT, WITHOUT ROWID;
  CREATE INDEX IF NOT EXISTS objects_by_age ON objects (uploaded);
  CREATE TABLE IF NOT EXISTS pieces (
    owner TEXT NOT NULL,
    number INTEGER NOT NULL,
    size INTEGER NOT NULL,
    md5 TEXT NOT NULL,
    uploaded INTEGER NOT NULL,
    file TEXT,
    bytes BLOB
  ) STRICT;
  CREATE UNIQUE INDEX IF NOT EXISTS pieces_by_owner ON pieces (owner, number);
  CREATE TABLE IF NOT EXISTS uploads (
    id TEXT PRIMARY KEY,
    key TEXT NOT NULL,
    state TEXT NOT NULL,
    created INTEGER NOT NULL,
    storage_class TEXT NOT NULL,
    http TEXT NOT NULL,
    custom TEXT NOT NULL
  ) STRICT, WITHOUT ROWID;
  CREATE INDEX IF NOT EXISTS uploads_by_key ON uploads (state, key, id);
  CREATE TABLE IF NOT EXISTS files (
    file TEXT PRIMARY KEY,
    state TEXT NOT NULL,
    life TEXT NOT NULL,
    due INTEGER NOT NULL,
    bytes INTEGER NOT NULL
  ) STRICT, WITHOUT ROWID;
  CREATE TABLE IF NOT EXISTS usage (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    objects INTEGER NOT NULL,
    bytes INTEGER NOT NULL,
    overhead INTEGER NOT NULL
  ) STRICT;
  INSERT OR IGNORE INTO usage VALUES (1, 0, 0, 0);
  ${counted("objects", (row) => `${ROW_BYTES} + ${textBytes(row, "key", "http", "custom", "checksums")}`)}
  ${counted("uploads", (row) => `${ROW_BYTES} + ${textBytes(row, "key", "http", "custom")}`)}
  ${counted("pieces", () => String(ROW_BYTES))}
  ${counted("files", (row) => `${row}.bytes`)}
`;

function counted(table: string, bytes: (row: "NEW" | "OLD") => string): string {
  const on = (what: string, change: string) => `
    CREATE TRIGGER IF NOT EXISTS ${table}_${what} AFTER ${what} ON ${table} BEGIN
      UPDATE usage SET overhead = overhead ${change};
    END;`;
  const [now, before] = [bytes("NEW"), bytes("OLD")];
  return `${on("insert", `+ ${now}`)}${on("update", `+ (${now}) - (${before})`)}${on("delete", `- (${before})`)}`;
}

function textBytes(row: "NEW" | "OLD", ...columns: string[]): string {
  return columns.map((column) => `octet_length(${row}.${column})`).join(" + ");
}

/** What an object or an upload adds to `overhead`, at most. */
export function describedBytes(call: {
  readonly object: string;
  readonly httpFields?: unknown;
  readonly customFields?: unknown;
}): number {
  const texts = JSON.stringify([call.object, call.httpFields, call.customFields]);
  return 2 * ROW_BYTES + MAX_CHECKSUMS_BYTES + new TextEncoder().encode(texts).byteLength;
}

export function openTables(sql: SqlStorage): void {
  sql.exec(SCHEMA);
}

export interface ObjectRow extends Record<string, SqlStorageValue> {
  key: string;
  version: string;
  size: number;
  etag: string;
  uploaded: number;
  storage_class: string;
  checksums: string;
  http: string;
  custom: string;
}

export interface UploadRow extends Record<string, SqlStorageValue> {
  id: string;
  key: string;
  state: string;
  created: number;
  storage_class: string;
  http: string;
  custom: string;
}

export interface PartRow extends Record<string, SqlStorageValue> {
  number: number;
  size: number;
  md5: string;
  uploaded: number;
  file: string | null;
}
