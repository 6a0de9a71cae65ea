/**
 * One D1 database: a Durable Object whose SQLite database is the tenant's. What is ours beside it is out of the reach of the
 * tenant's SQL: in the object's key-value storage, or under names that no statement of a tenant may contain (statements.ts).
 *
 * It speaks the protocol of the runtime's D1 binding: `POST /query` and `/execute` with a statement or a list of them, each
 * list one transaction. Everything else (`/admin/...`) comes from the API alone: admin.ts.
 */
import { DurableObject } from "cloudflare:workers";
import type { StoreConfig } from "../../protocol/store.ts";
import type { DatabasesEnv } from "./env.ts";
import { underWay } from "./under-way.ts";
import { Queries, Refused, type Query, type Result } from "./query.ts";

const BOOKMARK = "x-cf-d1-session-commit-token";
const CONFIG = "config";

export class D1Database extends DurableObject<DatabasesEnv> {
  readonly #sql = this.ctx.storage.sql;
  readonly #queries = new Queries(this.#sql);
  #config = this.ctx.storage.kv.get<StoreConfig>(CONFIG);
  #answered = 0;

  configure(config: StoreConfig): void {
    this.#config = config;
    this.ctx.storage.kv.put(CONFIG, config);
  }

  /** With all that it holds. */
  async remove(): Promise<void> {
    this.#config = undefined;
    await this.ctx.storage.deleteAlarm();
    await this.ctx.storage.deleteAll();
  }

  /** Ends this object: its database is closed, until it is called again. */
  release(): void {
    this.ctx.abort("released");
  }

  override async fetch(request: Request): Promise<Response> {
    const { pathname, searchParams } = new URL(request.url);
    try {
      const isQuery = pathname === "/query" || pathname === "/execute";
      if (request.method !== "POST" || !isQuery) {
        return Response.json(
          { error: `no such call: ${request.method} ${pathname}` },
          { status: 404 },
        );
      }
      const body = await request.json<Query | Query[]>();
      const results = this.#run(Array.isArray(body) ? body : [body]);
      const isRows = searchParams.get("resultsFormat") === "ROWS_AND_COLUMNS";
      const answers = results.map(({ columns, rows, meta }) => ({
        success: true,
        results: isRows ? { columns, rows } : toObjects(columns, rows),
        meta,
      }));
      const isSession = (request.headers.get(BOOKMARK) ?? "").trim() !== "";
      return Response.json(answers, isSession ? { headers: { [BOOKMARK]: this.#bookmark() } } : {});
    } catch (error) {
      return Response.json({ success: false, error: messageOf(error) });
    }
  }

  #run(queries: readonly Query[]): Result[] {
    if (this.#config === undefined) throw new Refused("there is no such database any more");
    return underWay(this.#config.id, () =>
      this.ctx.storage.transactionSync(() => this.#queries.run(queries)),
    );
  }

  /** Later ones sort after earlier ones. */
  #bookmark(): string {
    const time = Date.now().toString(16).padStart(16, "0");
    const count = (++this.#answered).toString(16).padStart(8, "0");
    return `${time.slice(0, 8)}-${time.slice(8)}-${count}-${this.ctx.id.toString().slice(0, 32)}`;
  }
}

function toObjects(columns: readonly string[], rows: readonly (readonly unknown[])[]) {
  return rows.map((row) => Object.fromEntries(columns.map((name, index) => [name, row[index]])));
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
