/** Runs statements in a tenant's database, and says of each what Cloudflare's D1 says. */
import type { Changes } from "./changes.ts";
import { isBlank, isReading, mayChangeSchema, namesOurs } from "./statements.ts";

export interface Query {
  readonly sql: string;
  readonly params?: readonly unknown[] | null;
}

export interface Meta {
  readonly served_by: string;
  readonly served_by_primary: true;
  readonly total_attempts: 1;
  readonly timings: { readonly sql_duration_ms: number };
  readonly duration: number;
  readonly changes: number;
  readonly last_row_id: number;
  readonly changed_db: boolean;
  readonly size_after: number;
  readonly rows_read: number;
  readonly rows_written: number;
}

export interface Result {
  readonly columns: readonly string[];
  readonly rows: readonly (readonly unknown[])[];
  readonly meta: Meta;
}

/** What is the tenant's own fault; its message is what Cloudflare's binding throws after `D1_ERROR: `. */
export class Refused extends Error {}

/** Of a database: Cloudflare's, whatever the quota of its namespace. */
export const MAX_DATABASE_BYTES = 10_000_000_000;
/** Of a text or blob. */
const MAX_VALUE_BYTES = 2_000_000;
/** Of all rows that one call answers: they are in memory together. */
const MAX_RESULT_BYTES = 64 * 2 ** 20;

interface State {
  readonly changes: number;
  readonly lastRowId: number;
  readonly bytes: number;
}

export class Queries {
  readonly #sql: SqlStorage;
  readonly #noted: Changes;
  /** As of the last statement of this call. Not of an earlier one: full text indexes write when a transaction ends. */
  #state: State | undefined;
  /** Of the rows of the call that is being answered. */
  #bytes = 0;

  constructor(sql: SqlStorage, noted: Changes) {
    this.#sql = sql;
    this.#noted = noted;
  }

  /** All of them, in order; whoever calls puts them into a transaction. */
  run(queries: readonly Query[]): Result[] {
    const work = queries.filter(({ sql }) => !isBlank(sql));
    if (work.length === 0) throw new Refused("No SQL statements detected.");
    this.#bytes = 0;
    this.#state = undefined;
    return work.map((query) => this.#one(query));
  }

  /** A database that is full takes nothing more at all. */
  refuseFull(): void {
    if (this.#sql.databaseSize > MAX_DATABASE_BYTES) throw new Refused("Exceeded maximum DB size");
  }

  #one({ sql, params }: Query): Result {
    if (namesOurs(sql)) {
      throw new Refused("access to names that begin with _skep_ is prohibited: SQLITE_AUTH");
    }
    const before = (this.#state ??= this.#look());
    const startMs = performance.now();
    const isSchema = this.#noted.isActive && mayChangeSchema(sql);
    if (isSchema) this.#noted.dropTriggers();
    const cursor = this.#sql.exec(sql, ...(params ?? []).map(toBound));
    const rows: unknown[][] = [];
    // Most answers name the columns in each row.
    const namesBytes = cursor.columnNames.reduce((sum, name) => sum + name.length, 0);
    for (const row of cursor.raw()) {
      this.#bytes += namesBytes;
      rows.push(row.map((cell) => this.#toJson(cell)));
    }
    const duration = performance.now() - startMs;
    if (isSchema) this.#noted.makeTriggers();
    const after = isReading(sql) ? before : this.#look();
    this.#state = after;
    if (after.bytes > MAX_DATABASE_BYTES && after.bytes > before.bytes) {
      throw new Refused("Exceeded maximum DB size");
    }
    const changes = after.changes - before.changes;
    return {
      columns: cursor.columnNames,
      rows,
      meta: {
        served_by: "skep",
        served_by_primary: true,
        total_attempts: 1,
        timings: { sql_duration_ms: duration },
        duration,
        changes,
        last_row_id: after.lastRowId,
        changed_db:
          changes !== 0 || after.lastRowId !== before.lastRowId || after.bytes !== before.bytes,
        size_after: after.bytes,
        rows_read: cursor.rowsRead,
        rows_written: cursor.rowsWritten,
      },
    };
  }

  #look(): State {
    const [row] = this.#sql
      .exec(`SELECT total_changes(), last_insert_rowid()`)
      .raw<[number, number]>();
    const [changes = 0, lastRowId = 0] = row ?? [];
    return { changes: changes - this.#noted.last, lastRowId, bytes: this.#sql.databaseSize };
  }

  #toJson(cell: SqlStorageValue): unknown {
    const isBytes = cell instanceof ArrayBuffer;
    // A byte takes up to four characters of JSON.
    this.#bytes += isBytes ? 4 * cell.byteLength : typeof cell === "string" ? cell.length : 8;
    if (this.#bytes > MAX_RESULT_BYTES) {
      throw new Refused(
        `the result takes more than ${MAX_RESULT_BYTES} bytes: ask for fewer rows, with LIMIT`,
      );
    }
    return isBytes ? [...new Uint8Array(cell)] : cell;
  }
}

function toBound(value: unknown): SqlStorageValue {
  if (typeof value === "number" || value === null) return value;
  if (typeof value === "string") {
    // No character takes more than three bytes for each of its UTF-16 units.
    if (3 * value.length > MAX_VALUE_BYTES)
      refuseTooBig(new TextEncoder().encode(value).byteLength);
    return value;
  }
  if (Array.isArray(value)) {
    refuseTooBig(value.length);
    return new Uint8Array(value as number[]).buffer;
  }
  throw new Refused(`a parameter is of type ${typeof value}, which SQLite has not`);
}

function refuseTooBig(bytes: number): void {
  if (bytes > MAX_VALUE_BYTES) throw new Refused("string or blob too big: SQLITE_TOOBIG");
}
