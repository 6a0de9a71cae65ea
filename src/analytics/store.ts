/**
 * The data points of one namespace, kept for RETENTION_MS, at most MAX_POINTS of them, and MAX_BYTES on disk. A Durable Object in the
 * hub. Queries are put together from a few known parts (query.ts): SQL of users' own could hold up the whole hub.
 */
import { DurableObject } from "cloudflare:workers";
import type { WrittenPoint } from "../protocol/analytics.ts";
import { toSql, type AnalyticsQuery } from "./query.ts";

const DAY_MS = 86_400_000;
const RETENTION_MS = 90 * DAY_MS;
/** A query looks at each of them at most once, which takes a good tenth of a second. */
const MAX_POINTS = 250_000;
/** With the index. */
const MAX_BYTES = 128 * 1024 * 1024;
/** Of an answer, in characters: it is in the hub's memory several times over. */
const MAX_ANSWER_CHARACTERS = 4 * 1024 * 1024;
/** Old points are looked for once in so many writes. */
const SWEEP_EVERY = 100;

const TABLES = `
  CREATE TABLE IF NOT EXISTS points (
    id INTEGER PRIMARY KEY, dataset TEXT NOT NULL, at INTEGER NOT NULL, index1 TEXT, blobs TEXT NOT NULL, doubles TEXT NOT NULL
  ) STRICT;
  CREATE INDEX IF NOT EXISTS points_by_time ON points (dataset, at);
`;

export type Row = Record<string, string | number | null>;

export class AnalyticsStore extends DurableObject {
  readonly #sql: SqlStorage;
  #writes = 0;

  constructor(ctx: DurableObjectState, env: Cloudflare.Env) {
    super(ctx, env);
    this.#sql = ctx.storage.sql;
    this.#sql.exec(TABLES);
  }

  write(points: readonly Omit<WrittenPoint, "namespace">[]): void {
    this.ctx.storage.transactionSync(() => {
      for (const { dataset, atMs, index, blobs, doubles } of points) {
        this.#sql.exec(
          `INSERT INTO points (dataset, at, index1, blobs, doubles) VALUES (?, ?, ?, ?, ?)`,
          dataset,
          atMs,
          index,
          JSON.stringify(blobs),
          JSON.stringify(doubles),
        );
      }
      if (this.#writes++ % SWEEP_EVERY === 0) this.#sweep();
      if (this.#sql.databaseSize > MAX_BYTES) this.#dropOldest();
    });
  }

  datasets(): Row[] {
    return this.#sql
      .exec<Row>(
        `SELECT dataset, COUNT(*) AS points, MIN(at) AS oldest, MAX(at) AS newest FROM points GROUP BY dataset ORDER BY dataset`,
      )
      .toArray();
  }

  /** null: the rows are too large together. */
  query(query: AnalyticsQuery): Row[] | null {
    const { sql, parameters } = toSql(query);
    const rows: Row[] = [];
    let characters = 0;
    for (const row of this.#sql.exec<Row>(sql, ...parameters)) {
      for (const value of Object.values(row)) {
        if (typeof value === "string") characters += value.length;
      }
      if (characters > MAX_ANSWER_CHARACTERS) return null;
      rows.push(row);
    }
    return rows;
  }

  /** The namespace is deleted. */
  async destroy(): Promise<void> {
    await this.ctx.storage.deleteAll();
    this.#sql.exec(TABLES);
  }

  /** A tenth at a time, so that not every write costs a deletion. */
  #dropOldest(): void {
    this.#sql.exec(
      `DELETE FROM points WHERE id <= (SELECT MIN(id) + (MAX(id) - MIN(id)) / 10 FROM points)`,
    );
  }

  #sweep(): void {
    this.#sql.exec(`DELETE FROM points WHERE at < ?`, Date.now() - RETENTION_MS);
    this.#sql.exec(`DELETE FROM points WHERE id <= (SELECT MAX(id) FROM points) - ?`, MAX_POINTS);
  }
}
