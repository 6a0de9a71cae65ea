/**
 * The kept logs of one function, in the SQLite database of its object: whole events, and an index of every three
 * characters of what they say, so that any part of a word is found. The oldest go beyond a size or an age.
 */
import type { LogPage, LogQuery, StoredEvent } from "../protocol/log-query.ts";
import type { TraceEvent } from "../protocol/trace.ts";
import { textOf } from "./tail-filter.ts";

/** Of the events' JSON; the index takes about as much again. */
const MAX_BYTES = 16 * 1024 * 1024;
const MAX_AGE_MS = 3 * 24 * 3_600_000;
/** The index finds nothing shorter. */
const MIN_INDEXED_CHARACTERS = 3;
/** What follows is kept, but not found. */
const MAX_TEXT_CHARACTERS = 16_384;

interface Row extends Record<string, SqlStorageValue> {
  id: number;
  event: string;
}

export class LogStore {
  readonly #sql: SqlStorage;
  #bytes: number;

  constructor(sql: SqlStorage) {
    this.#sql = sql;
    sql.exec(`
      CREATE TABLE IF NOT EXISTS events (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        at INTEGER NOT NULL,
        outcome TEXT NOT NULL,
        version TEXT NOT NULL,
        bytes INTEGER NOT NULL,
        event TEXT NOT NULL
      ) STRICT;
      CREATE INDEX IF NOT EXISTS events_at ON events (at, id);
      CREATE VIRTUAL TABLE IF NOT EXISTS words
        USING fts5(text, content='', contentless_delete=1, tokenize='trigram');
    `);
    const sum = sql.exec<{ bytes: number | null }>(`SELECT SUM(bytes) AS bytes FROM events`);
    this.#bytes = sum.one().bytes ?? 0;
  }

  /** `texts`: JSON of the events. */
  add(events: readonly TraceEvent[], texts: readonly string[], nowMs: number): void {
    for (const [index, event] of events.entries()) {
      const text = texts[index] ?? "";
      const { id } = this.#sql
        .exec<{ id: number }>(
          `INSERT INTO events (at, outcome, version, bytes, event) VALUES (?, ?, ?, ?, ?) RETURNING id`,
          event.eventTimestamp,
          event.outcome,
          event.scriptVersion.id,
          text.length,
          text,
        )
        .one();
      this.#sql.exec(`INSERT INTO words (rowid, text) VALUES (?, ?)`, id, wordsOf(event));
      this.#bytes += text.length;
    }
    this.trim(nowMs);
  }

  get isEmpty(): boolean {
    return this.#bytes === 0;
  }

  /** Newest first. */
  query({ sinceMs, untilMs, grep, outcomes, version, limit, cursor }: LogQuery): LogPage {
    const conditions = ["at >= ?", "at < ?"];
    const values: (string | number)[] = [sinceMs, untilMs];
    if (grep !== undefined) {
      // To the index a NUL is where the text ends.
      const isIndexed = [...grep].length >= MIN_INDEXED_CHARACTERS && !grep.includes("\0");
      conditions.push(
        isIndexed
          ? "id IN (SELECT rowid FROM words WHERE words MATCH ?)"
          : "instr(lower(event), lower(?)) > 0",
      );
      values.push(isIndexed ? `"${grep.replaceAll('"', '""')}"` : grep);
    }
    if (outcomes !== undefined) {
      conditions.push(`outcome IN (${outcomes.map(() => "?").join(", ")})`);
      values.push(...outcomes);
    }
    if (version !== undefined) {
      conditions.push("version = ?");
      values.push(version);
    }
    if (cursor !== undefined) {
      conditions.push("(at, id) < (?, ?)");
      values.push(cursor.at, cursor.id);
    }
    const rows = this.#sql
      .exec<Row & { at: number }>(
        `SELECT id, at, event FROM events WHERE ${conditions.join(" AND ")} ORDER BY at DESC, id DESC LIMIT ?`,
        ...values,
        limit + 1,
      )
      .toArray();
    const shown = rows.slice(0, limit);
    const last = rows.length > limit ? shown.at(-1) : undefined;
    return {
      events: shown.map(({ id, event }): StoredEvent => ({
        id,
        event: JSON.parse(event) as TraceEvent,
      })),
      cursor: last === undefined ? null : { at: last.at, id: last.id },
    };
  }

  /** What is too old, and the oldest of what is too much. */
  trim(nowMs: number): void {
    this.#delete(`at < ?`, nowMs - MAX_AGE_MS);
    while (this.#bytes > MAX_BYTES) {
      // A tenth at a time, so that not every event that comes costs a deletion.
      this.#delete(
        `id <= (SELECT id FROM events ORDER BY id LIMIT 1 OFFSET (SELECT COUNT(*) / 10 FROM events))`,
      );
    }
  }

  #delete(condition: string, ...values: number[]): void {
    const gone = this.#sql
      .exec<{ id: number; bytes: number }>(
        `DELETE FROM events WHERE ${condition} RETURNING id, bytes`,
        ...values,
      )
      .toArray();
    for (const { id, bytes } of gone) {
      this.#sql.exec(`DELETE FROM words WHERE rowid = ?`, id);
      this.#bytes -= bytes;
    }
  }
}

/** What somebody may look for. */
function wordsOf({ logs, exceptions, event }: TraceEvent): string {
  const lines = [
    ...logs.map(({ message }) => textOf(message)),
    ...exceptions.map(({ name, message, stack }) => `${name}: ${message}\n${stack ?? ""}`),
  ];
  if (event !== null && "request" in event) {
    const { method, url } = event.request as { method: string; url: string };
    lines.push(`${method} ${url}`);
  }
  return lines.join("\n").slice(0, MAX_TEXT_CHARACTERS);
}
