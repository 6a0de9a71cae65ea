/**
 * What a bucket keeps. Contents are pieces: one for an object that was put, one per part for a multipart upload. Small
 * pieces are in `bytes`; others in a file of their own, `files.ts` says where.
 *
 *   config   the latest StoreConfig, in one row
 *   objects  by key. `http` and `custom` are R2HttpFields and R2Pair[] as JSON, `checksums` too
 *   pieces   `owner` is the version of an object, or the id of an upload that has not been completed
 *   uploads  `state`: open, done. Those that are done stay for a week, so that a repeated call is told from a wrong one
 *   files    those that no piece owns: `state` is `arriving` (written by the process `life`) or `garbage` (to be deleted
 *            when `due` has come). Whatever a crash leaves behind is in here
 *   usage    one row; bytes of uploads under way included
 *
 * The changes that somebody wants to be told of are in the tables of `../changes/outbox.ts`.
 */
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
    due INTEGER NOT NULL
  ) STRICT, WITHOUT ROWID;
  CREATE TABLE IF NOT EXISTS usage (one INTEGER PRIMARY KEY CHECK (one = 1), objects INTEGER NOT NULL, bytes INTEGER NOT NULL) STRICT;
  INSERT OR IGNORE INTO usage VALUES (1, 0, 0);
`;

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
