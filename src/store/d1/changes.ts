/**
 * What changed in tables that somebody subscribed to: triggers note each row that was inserted, updated or deleted in a table
 * of ours, in the transaction that does it. They are made anew with every change of the schema. Whoever delivers reads them
 * in order (`after`), and says up to where they have arrived (`trim`).
 */
import { quoted } from "./dump.ts";
import { OWN_PREFIX } from "./statements.ts";

export interface Change {
  /** Ascending without end; numbers of transactions that were rolled back are not used again. */
  readonly seq: number;
  readonly atMs: number;
  readonly table: string;
  /** `restore`: the database went back to an earlier state; `table` is empty. */
  readonly op: "insert" | "update" | "delete" | "restore";
  /** By column: the primary key, or `rowid`; of an update, as it is now. */
  readonly key: Readonly<Record<string, unknown>>;
  /** Rows by column; a blob is `{hex}`. null: there is none, or it takes more than MAX_ROW_BYTES. */
  readonly old: Readonly<Record<string, unknown>> | null;
  readonly new: Readonly<Record<string, unknown>> | null;
}

const CHANGES = `${OWN_PREFIX}changes`;
const MAX_ROW_BYTES = 64 * 1024;

interface Row extends Record<string, SqlStorageValue> {
  seq: number;
  at: number;
  tbl: string;
  op: string;
  columns: string;
  keys: string;
  key: string;
  old: string | null;
  new: string | null;
}

export class Changes {
  readonly #sql: SqlStorage;
  /** Names of tables; `*`: all. */
  #tables: readonly string[] = [];

  constructor(sql: SqlStorage) {
    this.#sql = sql;
  }

  get isActive(): boolean {
    return this.#tables.length > 0;
  }

  /** Changes the database: call it in a transaction. */
  subscribe(tables: readonly string[]): void {
    this.know(tables);
    this.dropTriggers();
    if (this.isActive) this.makeTriggers();
    else this.#sql.exec(`DROP TABLE IF EXISTS ${CHANGES}`);
  }

  /** As `subscribe`, for a database in which that was done before. */
  know(tables: readonly string[]): void {
    this.#tables = tables;
  }

  /** Number of the last change; 0: there was none yet. */
  get last(): number {
    if (!this.isActive) return 0;
    return this.#sql
      .exec<{ seq: number }>(`SELECT coalesce(max(seq), 0) AS seq FROM ${CHANGES}`)
      .one().seq;
  }

  after(seq: number, limit: number): Change[] {
    if (!this.isActive) return [];
    return this.#sql
      .exec<Row>(`SELECT * FROM ${CHANGES} WHERE seq > ? ORDER BY seq LIMIT ?`, seq, limit)
      .toArray()
      .map(toChange);
  }

  /** The last change stays: the next one gets its number from it. */
  trim(upTo: number): void {
    if (!this.isActive) return;
    this.#sql.exec(
      `DELETE FROM ${CHANGES} WHERE seq <= ? AND seq < (SELECT max(seq) FROM ${CHANGES})`,
      upTo,
    );
  }

  noteRestore(): void {
    if (!this.isActive) return;
    this.#sql.exec(
      `INSERT INTO ${CHANGES} (at, tbl, op, columns, keys, key) VALUES (?, '', 'restore', '[]', '[]', '[]')`,
      Date.now(),
    );
  }

  /** A trigger keeps a table's columns from being dropped or renamed. */
  dropTriggers(): void {
    const names = this.#sql
      .exec<{ name: string }>(
        `SELECT name FROM sqlite_schema WHERE type = 'trigger' AND name LIKE '\\_skep\\_%' ESCAPE '\\'`,
      )
      .toArray();
    for (const { name } of names) this.#sql.exec(`DROP TRIGGER ${quoted(name)}`);
  }

  makeTriggers(): void {
    this.#sql.exec(`CREATE TABLE IF NOT EXISTS ${CHANGES} (
      seq INTEGER PRIMARY KEY, at INTEGER NOT NULL, tbl TEXT NOT NULL, op TEXT NOT NULL,
      columns TEXT NOT NULL, keys TEXT NOT NULL, key TEXT NOT NULL, old TEXT, new TEXT
    ) STRICT`);
    const tables = this.#sql
      .exec<{ name: string; wr: number }>(
        `SELECT name, wr FROM pragma_table_list
         WHERE schema = 'main' AND type = 'table' AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\'
           AND name NOT LIKE '\\_cf\\_%' ESCAPE '\\' AND name NOT LIKE '\\_skep\\_%' ESCAPE '\\'`,
      )
      .toArray();
    for (const { name, wr } of tables) {
      if (this.#tables.includes("*") || this.#tables.includes(name)) this.#make(name, wr === 1);
    }
  }

  #make(table: string, isWithoutRowId: boolean): void {
    const columns = this.#sql
      .exec<{ name: string; pk: number }>(`PRAGMA table_info(${quoted(table)})`)
      .toArray();
    const primary = columns.filter(({ pk }) => pk > 0).toSorted((a, b) => a.pk - b.pk);
    const keys = primary.length > 0 || isWithoutRowId ? primary.map(({ name }) => name) : ["rowid"];
    const names = columns.map(({ name }) => name);
    const row = (which: "OLD" | "NEW") => {
      const cells = names.map((name) => cellOf(which, name));
      const raw = names.map((name) => `${which}.${quoted(name)}`);
      return `iif(octet_length(concat(${raw.join(",")})) > ${MAX_ROW_BYTES}, NULL, json_array(${cells.join(",")}))`;
    };
    const ops = [
      ["insert", "NEW", "NULL", row("NEW")],
      ["update", "NEW", row("OLD"), row("NEW")],
      ["delete", "OLD", row("OLD"), "NULL"],
    ] as const;
    for (const [op, which, before, after] of ops) {
      const key = `json_array(${keys.map((name) => cellOf(which, name)).join(",")})`;
      const facts = [table, op, JSON.stringify(names), JSON.stringify(keys)].map(text);
      this.#sql
        .exec(`CREATE TRIGGER ${quoted(`${OWN_PREFIX}${op}_${table}`)} AFTER ${op} ON ${quoted(table)} BEGIN
        INSERT INTO ${CHANGES} (at, tbl, op, columns, keys, key, old, new)
        VALUES (CAST(unixepoch('subsec') * 1000 AS INTEGER), ${facts.join(",")}, ${key}, ${before}, ${after});
      END`);
    }
  }
}

/** JSON holds no blobs, and JavaScript's no integers beyond 53 bits. */
function cellOf(which: "OLD" | "NEW", name: string): string {
  const cell = `${which}.${quoted(name)}`;
  return `CASE typeof(${cell}) WHEN 'blob' THEN json_object('hex', hex(${cell})) ELSE ${cell} END`;
}

function text(value: string): string {
  return `'${value.replaceAll("'", "''")}'`;
}

function toChange({ seq, at, tbl, op, columns, keys, key, old, new: now }: Row): Change {
  return {
    seq,
    atMs: at,
    table: tbl,
    op: op as Change["op"],
    key: byName(keys, key) ?? {},
    old: byName(columns, old),
    new: byName(columns, now),
  };
}

function byName(names: string, cells: string | null): Record<string, unknown> | null {
  if (cells === null) return null;
  const values = JSON.parse(cells) as unknown[];
  return Object.fromEntries((JSON.parse(names) as string[]).map((name, at) => [name, values[at]]));
}
