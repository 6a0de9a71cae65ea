/**
 * One D1 database: a Durable Object whose SQLite database is the tenant's. What is ours beside it is out of the reach of the
 * tenant's SQL: in the object's key-value storage, or under names that no statement of a tenant may contain (statements.ts).
 *
 * It speaks the protocol of the runtime's D1 binding: `POST /query` and `/execute` with a statement or a list of them, each
 * list one transaction. Everything else (`/admin/...`) comes from the API alone (admin.ts).
 */
import { DurableObject } from "cloudflare:workers";
import type { StoreConfig } from "../../protocol/store.ts";
import { Answers } from "../answers.ts";
import { administer, type Administered, type DatabaseInfo, type ImportState } from "./admin.ts";
import { Changes, type Change } from "./changes.ts";
import { dump, type DumpOptions } from "./dump.ts";
import type { DatabasesEnv } from "./env.ts";
import { Files, streamOf } from "./files.ts";
import { importSql } from "./import.ts";
import { ingest, type Ingested } from "./ingest.ts";
import { Queries, Refused, type Query, type Result } from "./query.ts";
import { QuotaError, QuotaLease, type Released, type Reservation } from "../quota.ts";
import { readText } from "../read-text.ts";
import { remoteBooks } from "./remote-book.ts";
import { makeBookmark, Snapshots, timeOf, type History } from "./snapshots.ts";
import { isReading, mayLoseMuch, splitWhole } from "./statements.ts";
import { Transfers, type Transfer } from "./transfers.ts";
import { underWay } from "./under-way.ts";

const BOOKMARK = "x-cf-d1-session-commit-token";

/** Keys of the object's own storage. */
const CONFIG = "config";
const HISTORY = "history";
const IMPORT = "import";

/** Of statements and parameters, in memory together; a byte of a blob takes up to four. */
const MAX_CALL_BYTES = 32 * 2 ** 20;
/** Enough for most calls that write. */
const USUAL_GROWTH_BYTES = 64 * 1024;
/** What a file of SQL may make of itself: rows, indexes of them, and pages that are not full. */
const ROOM_PER_CHARACTER = 4;
const MINUTE_MS = 60_000;
/** How long an answer about an import may keep its caller waiting. */
const IMPORT_WAIT_MS = 20_000;
/** Cloudflare's words for it. */
const OVERLOADED = "D1 DB is overloaded. Too many requests queued.";
const GONE = "there is no such database any more";

interface D1Settings {
  /** Tables whose changes are noted; `*`: all. */
  readonly changes?: readonly string[];
}

export class D1Database extends DurableObject<DatabasesEnv> implements Administered {
  readonly #kv = this.ctx.storage.kv;
  readonly #sql = this.ctx.storage.sql;
  readonly #answers = new Answers(this.ctx);
  readonly #changes = new Changes(this.#sql);
  readonly #queries = new Queries(this.#sql, this.#changes);
  readonly #files = new Files(this.env.FILES, `d1/${this.ctx.id.toString()}`);
  readonly #snapshots = new Snapshots(this.ctx.storage, this.#files, (bytes) => this.#room(bytes));
  readonly #quota = new QuotaLease(
    this.ctx,
    remoteBooks(this.env.STORE),
    { binding: "DATABASES", kind: "d1" },
    () => ({ bytes: this.#sql.databaseSize + this.#transfers.bytes + this.#snapshots.bytes }),
  );
  readonly #transfers = new Transfers(this.#kv, this.#files);
  #config = this.#kv.get<StoreConfig>(CONFIG);
  /** As it is stored: `changedMs` may be a minute behind. */
  #stored: History = this.#kv.get<History>(HISTORY) ?? { bornMs: Date.now(), changedMs: 0 };
  #changedMs =
    this.#stored.changedMs === 0 ? 0 : Math.min(this.#stored.changedMs + MINUTE_MS, Date.now());
  #bookmarks = 0;
  /** What needs the database for itself, one after the other. */
  #alone: Promise<unknown> | undefined;
  #importing: Promise<ImportState> | undefined;

  constructor(ctx: DurableObjectState, env: DatabasesEnv) {
    super(ctx, env);
    this.#changes.know(this.#subscribed);
  }

  configure(config: StoreConfig): void {
    const isNew = this.#config === undefined;
    this.#config = config;
    this.#quota.configure(config);
    this.ctx.storage.transactionSync(() => {
      this.#kv.put(CONFIG, config);
      if (isNew) this.#kv.put(HISTORY, this.#stored);
      this.#changes.subscribe(this.#subscribed);
    });
  }

  /** With all that it holds. */
  async remove(): Promise<void> {
    this.#config = undefined;
    await this.#exclusively(async () => {
      await this.#quota.drop();
      await this.#files.deleteAll();
      await this.ctx.storage.deleteAll();
    });
  }

  /** Ends this object: its database is closed, until it is called again. */
  release(): void {
    this.ctx.abort("released");
  }

  override async fetch(request: Request): Promise<Response> {
    const { pathname, searchParams } = new URL(request.url);
    if (pathname.startsWith("/admin/")) return administer(this, request);
    try {
      const isQuery = pathname === "/query" || pathname === "/execute";
      if (request.method !== "POST" || !isQuery) {
        const error = `no such call: ${request.method} ${pathname}`;
        return Response.json({ error }, { status: 404 });
      }
      const text = await readText(request, MAX_CALL_BYTES);
      if (text === null) throw new Refused(`a call may have ${MAX_CALL_BYTES} bytes`);
      if (!(await this.#answers.haveRoom())) throw new Refused(OVERLOADED);
      const body = JSON.parse(text) as Query | Query[];
      const results = await this.query(Array.isArray(body) ? body : [body]);
      const isRows = searchParams.get("resultsFormat") === "ROWS_AND_COLUMNS";
      const answers = results.map(({ columns, rows, meta }) => ({
        success: true,
        results: isRows ? { columns, rows } : toObjects(columns, rows),
        meta,
      }));
      const isSession = (request.headers.get(BOOKMARK) ?? "").trim() !== "";
      return this.#answers.respond(
        JSON.stringify(answers),
        isSession ? { [BOOKMARK]: this.#bookmark() } : {},
      );
    } catch (error) {
      return Response.json({ success: false, error: messageOf(error) });
    }
  }

  async query(queries: readonly Query[]): Promise<Result[]> {
    while (this.#alone !== undefined) await this.#alone;
    const isWriting = !queries.every(({ sql }) => isReading(sql));
    if (isWriting) await this.#keepWhatWas(queries);
    const { id } = this.#required();
    if (!isWriting) return this.#transact(id, queries, Infinity);
    const results = await this.#withinQuota((room) => this.#transact(id, queries, room));
    this.#noteChange();
    return results;
  }

  info(): DatabaseInfo {
    this.#required();
    const [tables] = this.#sql.exec<{ n: number }>(
      `SELECT count(*) AS n FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\'
         AND name NOT LIKE '\\_cf\\_%' ESCAPE '\\' AND name NOT LIKE '\\_skep\\_%' ESCAPE '\\'`,
    );
    return { bytes: this.#sql.databaseSize, tables: tables?.n ?? 0 };
  }

  async startUpload(etag: string): Promise<{ filename: string; token: string }> {
    this.#required();
    const { filename, token } = await this.#transfers.open(etag);
    return { filename, token };
  }

  async upload(token: string, body: ReadableStream | null): Promise<{ etag: string } | null> {
    const transfer = this.#transfers.find({ token });
    if (transfer === undefined || transfer.etag === null || transfer.isComplete) return null;
    const stream = body ?? new Blob([]).stream();
    const reserve = (bytes: number) => this.#roomFor(bytes);
    return { etag: await this.#transfers.receive(transfer, stream, reserve) };
  }

  async ingest(filename: string, etag: string): Promise<ImportState> {
    this.#required();
    if (this.#importing !== undefined) throw new Refused("an import of this database is running");
    const transfer = this.#transfers.find({ filename });
    if (transfer?.etag !== etag || !transfer.isComplete) {
      throw new Refused(
        `no file '${filename}' with the etag '${etag}' was uploaded within the last hour`,
      );
    }
    const bookmark = this.#bookmark();
    this.#kv.put(IMPORT, { status: "active", bookmark } satisfies ImportState);
    this.#importing = this.#import(transfer);
    this.ctx.waitUntil(this.#importing);
    return this.importState();
  }

  async importState(): Promise<ImportState> {
    if (this.#importing !== undefined) {
      await Promise.race([this.#importing, scheduler.wait(IMPORT_WAIT_MS)]);
    }
    const state = this.#kv.get<ImportState>(IMPORT) ?? { status: "none" };
    const isLost = state.status === "active" && this.#importing === undefined;
    return isLost
      ? { status: "error", error: "The import was interrupted; the database is as it was before." }
      : state;
  }

  exportFile(options: DumpOptions): Promise<{ filename: string; token: string; bookmark: string }> {
    this.#required();
    return this.#exclusively(async () => {
      const transfer = await this.#transfers.open(null);
      const text = streamOf(textsOf(this.#sql, options));
      await this.#transfers.write(transfer, text, (bytes) => this.#room(bytes));
      return { filename: transfer.filename, token: transfer.token, bookmark: this.#bookmark() };
    });
  }

  async download(token: string): Promise<ReadableStream | null> {
    const transfer = this.#transfers.find({ token });
    if (transfer === undefined || transfer.etag !== null || !transfer.isComplete) return null;
    return this.#transfers.read(transfer);
  }

  async bookmarkAt(timestampMs: number | null): Promise<string> {
    this.#required();
    if (timestampMs === null) {
      return (await this.#exclusively(() => this.#snapshot())).bookmark;
    }
    if (timestampMs >= this.#changedMs) return makeBookmark(timestampMs, 0, this.#whose);
    const found = this.#snapshots.at(makeBookmark(timestampMs, 0, this.#whose));
    if (found === undefined) {
      const oldest = this.#snapshots.list[0];
      throw new Refused(
        oldest === undefined
          ? "there is no snapshot of this database yet: nothing can be restored"
          : `there is no snapshot from before ${new Date(timestampMs).toISOString()}: the oldest is of ${new Date(oldest.sinceMs).toISOString()}`,
      );
    }
    return found.bookmark;
  }

  restore(bookmark: string): Promise<{ bookmark: string; previousBookmark: string }> {
    this.#required();
    if (Number.isNaN(timeOf(bookmark)))
      throw new Refused(`'${bookmark}' is no bookmark of a database`);
    return this.#exclusively(async () => {
      const target = this.#snapshots.at(bookmark);
      const previous = await this.#snapshot(target?.bookmark);
      const found = target ?? this.#snapshots.at(bookmark);
      if (found === undefined) throw new Refused(`there is no snapshot from before ${bookmark}`);
      if (found.bookmark !== previous.bookmark) {
        await this.ctx.storage.transaction(async () => {
          this.#changes.dropTriggers();
          const before = this.#sql.databaseSize;
          await this.#snapshots.apply(found);
          await this.#requireRoom(before);
          if (this.#changes.isActive) this.#changes.makeTriggers();
          this.#changes.noteRestore();
        });
        this.#noteChange();
      }
      return { bookmark: found.bookmark, previousBookmark: previous.bookmark };
    });
  }

  releaseQuota(epoch: number): Released {
    this.ctx.waitUntil(this.#transfers.endExpired());
    return this.#quota.release(epoch);
  }

  changes(after: number, limit: number): { changes: Change[]; last: number } {
    return { changes: this.#changes.after(after, limit), last: this.#changes.last };
  }

  trim(upTo: number): void {
    this.#changes.trim(upTo);
  }

  get #subscribed(): readonly string[] {
    return (this.#config?.settings as D1Settings | undefined)?.changes ?? [];
  }

  get #whose(): string {
    return this.ctx.id.toString();
  }

  #required(): StoreConfig {
    if (this.#config === undefined) throw new Refused(GONE);
    return this.#config;
  }

  #bookmark(): string {
    return makeBookmark(Date.now(), ++this.#bookmarks, this.#whose);
  }

  #noteChange(): void {
    const nowMs = Date.now();
    this.#changedMs = nowMs;
    if (nowMs - this.#stored.changedMs < MINUTE_MS) return;
    this.#stored = { ...this.#stored, changedMs: nowMs };
    this.#kv.put(HISTORY, this.#stored);
  }

  #snapshot(keep?: string) {
    return this.#snapshots.take(this.#bookmark(), this.#changedMs, keep);
  }

  /** Rolled back if the database grows by more than `room` bytes. */
  #transact(id: string, queries: readonly Query[], room: number): Result[] {
    return underWay(id, () =>
      this.ctx.storage.transactionSync(() => {
        const bytes = this.#sql.databaseSize;
        const results = this.#queries.run(queries);
        const growth = this.#sql.databaseSize - bytes;
        if (growth > room) throw new NoRoom(growth);
        return results;
      }),
    );
  }

  /** Nobody knows how much a statement will take: it is tried with some room, and once more with what it took. */
  async #withinQuota<T>(run: (room: number) => T): Promise<T> {
    let bytes = USUAL_GROWTH_BYTES;
    for (let isFirst = true; ; isFirst = false) {
      const room = await this.#reserve(bytes, isFirst);
      try {
        // Something may have begun while the book was asked.
        while (this.#alone !== undefined) await this.#alone;
        this.#required();
        return run(room === null ? 0 : bytes);
      } catch (error) {
        if (!(error instanceof NoRoom)) throw error;
        bytes = error.bytes;
      } finally {
        room?.free();
      }
    }
  }

  /** For what the database has grown to in a transaction, whatever was reserved: a short statement may write much. */
  async #requireRoom(bytesBefore: number): Promise<void> {
    if (this.#sql.databaseSize <= bytesBefore) return;
    this.#queries.refuseFull();
    (await this.#room(1)).free();
  }

  async #room(bytes: number): Promise<Reservation> {
    return this.#quota.reserve({ bytes });
  }

  /** For the database itself, which snapshots make room for. */
  async #roomFor(bytes: number): Promise<Reservation> {
    for (;;) {
      try {
        return await this.#room(bytes);
      } catch (error) {
        if (!(error instanceof QuotaError) || !(await this.#snapshots.dropOldest(0))) throw error;
      }
    }
  }

  /** null: there is none, which only matters if the database grows. */
  async #reserve(bytes: number, isGuess: boolean): Promise<Reservation | null> {
    try {
      return await (isGuess ? this.#room(bytes) : this.#roomFor(bytes));
    } catch (error) {
      if (isGuess && error instanceof QuotaError) return null;
      throw error;
    }
  }

  /** A snapshot, where one is due before something is changed. */
  async #keepWhatWas(queries: readonly Query[]): Promise<void> {
    const history = { ...this.#stored, changedMs: this.#changedMs };
    const isDue = this.#snapshots.isDue(
      history,
      Date.now(),
      queries.some(({ sql }) => mayLoseMuch(sql)),
    );
    if (!isDue) return;
    try {
      await this.#exclusively(() => this.#snapshot());
    } catch (error) {
      // Of a database with virtual tables there are none, and a full disk must not stop those who delete.
      console.error(`no snapshot of the database ${this.#config?.id}: ${messageOf(error)}`);
      this.#snapshots.postpone(Date.now());
    }
  }

  async #import(transfer: Transfer): Promise<ImportState> {
    const startMs = Date.now();
    const run = async () => {
      const file = await this.#transfers.read(transfer);
      if (file === null) throw new Refused(`the file '${transfer.filename}' is gone`);
      await this.#keepBeforeImport();
      return this.ctx.storage.transaction(async () => {
        const imported = await importSql(file, async (text) => {
          const room = await this.#roomFor(ROOM_PER_CHARACTER * text.length);
          const before = this.#sql.databaseSize;
          let ingested: Ingested;
          try {
            ingested = underWay(this.#required().id, () => this.#ingest(text));
          } finally {
            room.free();
          }
          await this.#requireRoom(before);
          return ingested;
        });
        this.#noteChange();
        const state: ImportState = {
          status: "complete",
          bookmark: this.#bookmark(),
          durationMs: Date.now() - startMs,
          bytes: this.#sql.databaseSize,
          ...imported,
        };
        this.#kv.put(IMPORT, state);
        return state;
      });
    };
    try {
      return await this.#exclusively(run);
    } catch (error) {
      const state: ImportState = { status: "error", error: messageOf(error) };
      this.#kv.put(IMPORT, state);
      return state;
    } finally {
      await this.#transfers.close(transfer);
      this.#importing = undefined;
    }
  }

  async #keepBeforeImport(): Promise<void> {
    try {
      await this.#snapshot();
    } catch (error) {
      console.error(`no snapshot of the database ${this.#config?.id}: ${messageOf(error)}`);
    }
  }

  /** Where changes are noted, statements that change the schema are run apart, with new triggers after each. */
  #ingest(text: string): Ingested {
    this.#queries.refuseFull();
    if (!this.#changes.isActive) return ingest(this.#sql, text);
    const { whole, rest } = splitWhole(text);
    const sum = { remainder: rest, rowsRead: 0, rowsWritten: 0, statementCount: whole.length };
    for (const { meta } of whole.length > 0
      ? this.#queries.run(whole.map((sql) => ({ sql })))
      : []) {
      sum.rowsRead += meta.rows_read;
      sum.rowsWritten += meta.rows_written;
    }
    return sum;
  }

  /** Nothing else is done with the database meanwhile. */
  async #exclusively<T>(run: () => Promise<T>): Promise<T> {
    while (this.#alone !== undefined) await this.#alone;
    const done = run().finally(() => (this.#alone = undefined));
    this.#alone = done.catch(() => {});
    return done;
  }
}

/** A transaction made the database grow by so much, for which there was no room. */
class NoRoom extends Error {
  readonly bytes: number;

  constructor(bytes: number) {
    super(`the database has grown by ${bytes} bytes`);
    this.bytes = bytes;
  }
}

function* textsOf(sql: SqlStorage, options: DumpOptions): Generator<string> {
  for (const { sql: statement } of dump(sql, options)) yield `${statement}\n`;
}

function toObjects(columns: readonly string[], rows: readonly (readonly unknown[])[]) {
  return rows.map((row) => Object.fromEntries(columns.map((name, index) => [name, row[index]])));
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
