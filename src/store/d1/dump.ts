/**
 * A database as SQL statements, in the order in which they make it again: what `.dump` of SQLite's shell writes, less what D1
 * cannot run. Values are written by SQLite itself (`quote`), so large integers and blobs are exact.
 */
import { OWN_PREFIX } from "./statements.ts";

export interface DumpOptions {
  readonly noSchema?: boolean;
  readonly noData?: boolean;
  /** None: all. */
  readonly tables?: readonly string[];
}

export interface DumpStatement {
  readonly sql: string;
  /** Of a row; absent for the schema. */
  readonly row?: { readonly table: string; readonly columns: readonly string[] };
}

interface SchemaRow extends Record<string, SqlStorageValue> {
  name: string;
  sql: string;
}

/** Read it to its end before anything else is done with the database. */
export function* dump(sql: SqlStorage, options: DumpOptions = {}): Generator<DumpStatement> {
  const { noSchema = false, noData = false, tables: only = [] } = options;
  const isWanted = (name: string) => only.length === 0 || only.includes(name);
  yield { sql: "PRAGMA defer_foreign_keys=TRUE;" };
  const tables = sql
    .exec<SchemaRow>(
      `SELECT name, sql FROM sqlite_schema WHERE type = 'table' AND sql NOT NULL
       ORDER BY tbl_name = 'sqlite_sequence', rowid`,
    )
    .toArray();
  for (const { name, sql: made } of tables) {
    if (!isWanted(name) || isOurs(name)) continue;
    if (name === "sqlite_sequence") {
      if (!noSchema) yield { sql: "DELETE FROM sqlite_sequence;" };
    } else if (/^sqlite_stat./.test(name)) {
      if (!noSchema) yield { sql: "ANALYZE sqlite_schema;" };
    } else if (/^CREATE VIRTUAL TABLE/i.test(made)) {
      throw new Error("D1 Export error: cannot export databases with Virtual Tables (fts5)");
    } else if (name.startsWith("sqlite_")) continue;
    else if (!noSchema) yield { sql: `${made};` };
    if (!noData) yield* rowsOf(sql, name);
  }
  if (noSchema) return;
  const rest = sql
    .exec<SchemaRow>(
      `SELECT name, sql FROM sqlite_schema WHERE type IN ('index', 'trigger', 'view') AND sql NOT NULL
       ORDER BY type COLLATE NOCASE, rowid`,
    )
    .toArray();
  for (const { name, sql: made } of rest) {
    if (isWanted(name) && !isOurs(name)) yield { sql: `${made};` };
  }
}

function* rowsOf(sql: SqlStorage, table: string): Generator<DumpStatement> {
  const columns = sql
    .exec<{ name: string }>(`PRAGMA table_info(${quoted(table)})`)
    .toArray()
    .map(({ name }) => name);
  const names = columns.map(quoted);
  const into = `INSERT INTO ${quoted(table)} (${names.join(",")}) VALUES(`;
  const values = sql.exec(`SELECT ${names.map(literalOf).join(",")} FROM ${quoted(table)}`);
  for (const cells of values.raw<string[]>()) {
    yield { sql: `${into}${cells.join(",")});`, row: { table, columns } };
  }
}

/** `quote` ends a text at its first NUL. */
function literalOf(name: string): string {
  return `CASE WHEN typeof(${name}) = 'text' AND instr(${name}, char(0)) > 0
    THEN 'CAST(X''' || hex(${name}) || ''' AS TEXT)' ELSE quote(${name}) END`;
}

/** The runtime's and our own. */
function isOurs(name: string): boolean {
  return name.startsWith("_cf_") || name.startsWith(OWN_PREFIX);
}

export function quoted(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}
