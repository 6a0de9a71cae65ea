/**
 * Time travel: snapshots of a database, each a file from which all of it can be made again. One is taken before the first
 * write after an hour without any (so it holds the state in which the database was until then), before an import and before a
 * restore, and whenever somebody asks for the present bookmark. A bookmark is the time of a snapshot with a number. They count
 * for the quota, and make room for each other and for the database, the oldest first.
 */
import { dump, quoted } from "./dump.ts";
import { streamOf, textsOf, type Files } from "./files.ts";
import { ingest } from "./ingest.ts";
import { QuotaError } from "../quota.ts";
import { Meter, type Reserve } from "./meter.ts";
import { OWN_PREFIX } from "./statements.ts";

export interface Snapshot {
  readonly bookmark: string;
  readonly atMs: number;
  /** The database was as it is in the snapshot from here to `atMs`. */
  readonly sinceMs: number;
  /** Of the file. */
  readonly bytes: number;
}

/** Of a database, in Unix milliseconds. */
export interface History {
  readonly bornMs: number;
  /** Of the last write; it may have been up to a minute earlier. */
  readonly changedMs: number;
}

const MINUTE_MS = 60 * 1000;
const HOUR_MS = 60 * MINUTE_MS;
const RETENTION_MS = 30 * 24 * HOUR_MS;
/** Larger databases have snapshots only where somebody asks for one: writing one keeps all others waiting. */
const MAX_AUTOMATIC_BYTES = 256 * 2 ** 20;
/** Of all snapshots of one database: at least this, or as much as the database itself, four times. */
const MIN_KEPT_BYTES = 64 * 2 ** 20;
/** A statement may have 100,000 bytes; a row that takes more is written as values. */
const MAX_STATEMENT_CHARACTERS = 30_000;
/** Of one database. */
const MAX_SNAPSHOTS = 500;
/** Of a file, at least, on the disk. */
const MIN_FILE_BYTES = 4096;
const SNAPSHOTS = "snapshots";

/** A line of a snapshot: a statement, or a row with its values. */
type Line = string | { readonly sql: string; readonly params: readonly Param[] };
type Param = string | number | null | { readonly hex: string; readonly isText?: true };

export class Snapshots {
  readonly #storage: DurableObjectStorage;
  readonly #files: Files;
  readonly #reserve: Reserve;
  #list: readonly Snapshot[];
  #notBeforeMs = 0;

  constructor(storage: DurableObjectStorage, files: Files, reserve: Reserve) {
    this.#storage = storage;
    this.#files = files;
    this.#reserve = reserve;
    this.#list = storage.kv.get<Snapshot[]>(SNAPSHOTS) ?? [];
  }

  /** Oldest first. */
  get list(): readonly Snapshot[] {
    return this.#list;
  }

  /** Of all of their files. */
  get bytes(): number {
    return this.#list.reduce((sum, { bytes }) => sum + Math.max(bytes, MIN_FILE_BYTES), 0);
  }

  /** False: there are no more than `left`. `keep`: the bookmark of one that must stay. */
  async dropOldest(left: number, keep?: string): Promise<boolean> {
    const oldest = this.#list.find(({ bookmark }) => bookmark !== keep);
    if (oldest === undefined || this.#list.length <= left) return false;
    await this.#put(this.#list.filter((snapshot) => snapshot !== oldest));
    return true;
  }

  /** Whether one is to be taken before a write. `bornMs`: when the database was made. */
  isDue({ bornMs, changedMs }: History, nowMs: number, isRisky: boolean): boolean {
    const newest = this.list.at(-1)?.atMs ?? bornMs;
    const intervalMs = isRisky ? MINUTE_MS : HOUR_MS;
    if (changedMs < newest || nowMs < Math.max(newest + intervalMs, this.#notBeforeMs))
      return false;
    return this.#storage.sql.databaseSize <= MAX_AUTOMATIC_BYTES;
  }

  /** After one that failed. */
  postpone(nowMs: number): void {
    this.#notBeforeMs = nowMs + HOUR_MS;
  }

  /** `keep`: the bookmark of one that must stay. Nothing may be written meanwhile. If nothing was since the newest, that is it. */
  async take(bookmark: string, changedMs: number, keep?: string): Promise<Snapshot> {
    const newest = this.list.at(-1);
    if (newest !== undefined && newest.atMs > changedMs) {
      const now = { ...newest, atMs: Math.max(newest.atMs, Date.now()) };
      await this.#put([...this.list.slice(0, -1), now]);
      return now;
    }
    for (;;) {
      const meter = new Meter(this.#reserve);
      try {
        const lines = streamOf(linesOf(this.#storage.sql));
        await meter.through(lines.pipeThrough(new CompressionStream("gzip")), (metered) =>
          this.#files.write(nameOf(bookmark), metered),
        );
        const { bytes } = meter;
        const snapshot = { bookmark, atMs: Date.now(), sinceMs: changedMs, bytes };
        await this.#keep([...this.list, snapshot], keep);
        return snapshot;
      } catch (error) {
        await this.#files.delete(nameOf(bookmark));
        // The newest that there is stays until there is a newer one.
        if (!(error instanceof QuotaError) || !(await this.dropOldest(1, keep))) throw error;
      } finally {
        meter.free();
      }
    }
  }

  /** The newest that was taken when the database was as it was at `bookmark`, or earlier; undefined: there is none. */
  at(bookmark: string): Snapshot | undefined {
    const timeMs = timeOf(bookmark);
    return (
      this.list.find((snapshot) => snapshot.bookmark === bookmark) ??
      this.list.findLast(({ sinceMs }) => sinceMs <= timeMs)
    );
  }

  /** Makes the database what it was; in a transaction. */
  async apply({ bookmark }: Snapshot): Promise<void> {
    const file = await this.#files.read(nameOf(bookmark));
    if (file === null) throw new Error(`the snapshot ${bookmark} is gone`);
    const { sql } = this.#storage;
    sql.exec("PRAGMA defer_foreign_keys=TRUE");
    dropAll(sql);
    let rest = "";
    for await (const text of textsOf(file.pipeThrough(new DecompressionStream("gzip")))) {
      const lines = (rest + text).split("\n");
      rest = lines.pop() ?? "";
      applyLines(
        sql,
        lines.map((line) => JSON.parse(line) as Line),
      );
    }
  }

  /** Those that are over are deleted, in the list first: a file too many does no harm. */
  async #keep(snapshots: readonly Snapshot[], keep: string | undefined): Promise<void> {
    const most = Math.max(MIN_KEPT_BYTES, 4 * this.#storage.sql.databaseSize);
    const kept: Snapshot[] = [];
    let bytes = 0;
    for (const snapshot of snapshots.toReversed()) {
      bytes += snapshot.bytes;
      const isOld = Date.now() - snapshot.atMs > RETENTION_MS;
      const mustStay = kept.length === 0 || snapshot.bookmark === keep;
      const isRoom = bytes <= most && kept.length < MAX_SNAPSHOTS;
      if (mustStay || (!isOld && isRoom)) kept.unshift(snapshot);
    }
    await this.#put(kept);
  }

  async #put(kept: readonly Snapshot[]): Promise<void> {
    const before = this.#list;
    this.#list = kept;
    this.#storage.kv.put(SNAPSHOTS, kept);
    const names = new Set(kept.map(({ bookmark }) => bookmark));
    for (const { bookmark } of before) {
      if (!names.has(bookmark)) await this.#files.delete(nameOf(bookmark));
    }
  }
}

/** `time`: Unix milliseconds. Later ones sort after earlier ones; ends with whose it is. */
export function makeBookmark(time: number, count: number, whose: string): string {
  const hex = time.toString(16).padStart(16, "0");
  const number = (count >>> 0).toString(16).padStart(8, "0");
  return `${hex.slice(0, 8)}-${hex.slice(8)}-${number}-${whose.slice(0, 32)}`;
}

export function timeOf(bookmark: string): number {
  const [, high = "", low = ""] = /^([0-9a-f]{8})-([0-9a-f]{8})-[0-9a-f]{8}-/.exec(bookmark) ?? [];
  return Number.parseInt(high + low, 16);
}

function nameOf(bookmark: string): string {
  return `snapshots/${bookmark}.gz`;
}

function* linesOf(sql: SqlStorage): Generator<string> {
  for (const { sql: statement, row } of dump(sql)) {
    const isRow = row !== undefined && statement.length > MAX_STATEMENT_CHARACTERS;
    const line: Line = isRow ? rowLine(statement, row.table, row.columns) : statement;
    yield `${JSON.stringify(line)}\n`;
  }
}

/** The values are read back from the text that SQLite wrote. */
function rowLine(statement: string, table: string, columns: readonly string[]): Line {
  const names = columns.map(quoted).join(",");
  const head = `INSERT INTO ${quoted(table)} (${names}) VALUES(`;
  const cells = statement
    .slice(head.length, -2)
    .matchAll(/CAST\(X'([0-9A-F]*)' AS TEXT\)|X'([0-9A-F]*)'|'((?:[^']|'')*)'|[^,]+/g);
  const params = Array.from(cells, ([cell, textHex, hex, text]): Param => {
    if (textHex !== undefined) return { hex: textHex, isText: true };
    if (hex !== undefined) return { hex };
    if (text !== undefined) return text.replaceAll("''", "'");
    return cell === "NULL" ? null : Number(cell);
  });
  return { sql: `${head}${columns.map(() => "?").join(",")})`, params };
}

function applyLines(sql: SqlStorage, lines: readonly Line[]): void {
  let statements = "";
  const flush = () => {
    if (statements !== "") ingest(sql, statements);
    statements = "";
  };
  for (const line of lines) {
    if (typeof line === "string") {
      statements += `${line}\n`;
    } else {
      flush();
      const values = line.params.map((param) => {
        if (typeof param !== "object" || param === null) return param;
        const bytes = Uint8Array.fromHex(param.hex);
        if (!param.isText) return bytes.buffer;
        return new TextDecoder("utf-8", { fatal: false, ignoreBOM: true }).decode(bytes);
      });
      sql.exec(line.sql, ...values);
    }
  }
  flush();
}

/** All that is the tenant's. Rows go first, so that no reference is left when the tables go. */
function dropAll(sql: SqlStorage): void {
  const all = (types: string) =>
    sql
      .exec<{ type: string; name: string }>(
        `SELECT type, name FROM sqlite_schema WHERE type IN (${types}) AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\'
           AND name NOT LIKE '\\_cf\\_%' ESCAPE '\\'`,
      )
      .toArray()
      .filter(({ name }) => !name.startsWith(OWN_PREFIX));
  for (const { type, name } of all(`'view', 'trigger'`)) sql.exec(`DROP ${type} ${quoted(name)}`);
  const tables = all(`'table'`);
  for (const { name } of tables) sql.exec(`DELETE FROM ${quoted(name)}`);
  for (const { name } of tables) sql.exec(`DROP TABLE ${quoted(name)}`);
}
