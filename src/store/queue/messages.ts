/**
 * The messages of one queue, as rows. A row is written when its message comes and goes when it was acknowledged; nothing is
 * written when a delivery starts, so that whatever was under way in a process that died is simply there again.
 *
 *   messages  `due`: from when on it may be delivered; `stored`: since when it counts for retention; `attempts`: those that
 *             failed; `losses`: those in a row that were lost with a process; `lease`: who pulled it, until `due`
 *   dead      on the way to the dead letter queue, in the order of `sequence`
 *   sources   what was taken of each source that numbers its messages
 *
 * Times are Unix milliseconds.
 */
import type { MessageContentType, QueuedMessage } from "../../protocol/events.ts";
import type { NewMessage } from "../../protocol/queue.ts";

const TABLES = `
  CREATE TABLE IF NOT EXISTS config (only INTEGER PRIMARY KEY CHECK (only = 1), value TEXT NOT NULL) STRICT;
  CREATE TABLE IF NOT EXISTS messages (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL,
    timestamp INTEGER NOT NULL,
    stored INTEGER NOT NULL,
    due INTEGER NOT NULL,
    bytes INTEGER NOT NULL,
    attempts INTEGER NOT NULL DEFAULT 0,
    losses INTEGER NOT NULL DEFAULT 0,
    lease TEXT,
    type TEXT NOT NULL,
    body ANY NOT NULL
  ) STRICT;
  CREATE INDEX IF NOT EXISTS messages_by_due ON messages (due, seq, bytes);
  CREATE TABLE IF NOT EXISTS dead (
    sequence INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL,
    timestamp INTEGER NOT NULL,
    stored INTEGER NOT NULL,
    bytes INTEGER NOT NULL,
    type TEXT NOT NULL,
    body ANY NOT NULL
  ) STRICT;
  CREATE TABLE IF NOT EXISTS sources (name TEXT PRIMARY KEY, sequence INTEGER NOT NULL) STRICT, WITHOUT ROWID;
`;

export interface StoredMessage extends Record<string, SqlStorageValue> {
  seq: number;
  id: string;
  timestamp: number;
  due: number;
  bytes: number;
  attempts: number;
  losses: number;
  type: MessageContentType;
  /** Bytes of `bytes` and `v8`; else the text. */
  body: string | ArrayBuffer;
}

/** As its consumer gets it. `attempts`: with this one. */
export function toQueued({ id, timestamp, attempts, type, body }: StoredMessage): QueuedMessage {
  return {
    id,
    timestampMs: timestamp,
    attempts: attempts + 1,
    contentType: type,
    body: typeof body === "string" ? body : new Uint8Array(body).toBase64(),
  };
}

/** A place in the order of deliveries. */
export interface Position {
  readonly due: number;
  readonly seq: number;
}

export interface Backlog {
  readonly count: number;
  readonly bytes: number;
}

const START: Position = { due: 0, seq: 0 };
/** What has been lost so often may be what ends processes: it is taken alone, so that others get through. */
const SUSPECT_LOSSES = 2;
const encoder = new TextEncoder();

export class Messages {
  readonly #sql: SqlStorage;
  /** Kept beside the table, so that nobody has to count. */
  #count: number;
  #bytes: number;
  /** Up to here messages were taken for deliveries that are under way. */
  #taken = START;

  /** Of a queue that there is: makes the tables. */
  constructor(sql: SqlStorage) {
    this.#sql = sql;
    sql.exec(TABLES);
    const { count, bytes } = sql
      .exec<{ count: number; bytes: number }>(
        `SELECT COUNT(*) AS count, COALESCE(SUM(bytes), 0) AS bytes FROM messages INDEXED BY messages_by_due`,
      )
      .one();
    const dead = sql
      .exec<{ count: number; bytes: number }>(
        `SELECT COUNT(*) AS count, COALESCE(SUM(bytes), 0) AS bytes FROM dead`,
      )
      .one();
    this.#count = count + dead.count;
    this.#bytes = bytes + dead.bytes;
  }

  /** Those on their way to the dead letter queue included. */
  get backlog(): Backlog {
    return { count: this.#count, bytes: this.#bytes };
  }

  /** When the oldest message was stored; null: there is none. */
  get oldest(): number | null {
    const { oldest } = this.#sql
      .exec<{ oldest: number | null }>(
        `SELECT MIN(stored) AS oldest FROM (
           SELECT stored FROM (SELECT stored FROM messages ORDER BY seq LIMIT 1)
           UNION ALL SELECT stored FROM (SELECT stored FROM dead ORDER BY sequence LIMIT 1))`,
      )
      .one();
    return oldest;
  }

  /**
   * Returns how many it took: what `source` has sent before is not taken again. `delayMs`: of those that say nothing; null:
   * none is delayed, and the order of arrival is that of deliveries, whatever the clock does.
   */
  add(
    messages: readonly NewMessage[],
    delayMs: number | null,
    now: number,
    source?: string,
  ): number {
    const at = Math.max(now, delayMs === null ? this.#lastDue : this.#taken.due);
    let last = source === undefined ? 0 : this.#lastOf(source);
    let added = 0;
    for (const message of messages) {
      if (message.sequence !== undefined && source !== undefined) {
        if (message.sequence <= last) continue;
        last = message.sequence;
      }
      const { contentType, body, delaySeconds } = message;
      const bytes = sizeOf(body);
      this.#sql.exec(
        `INSERT INTO messages (id, timestamp, stored, due, bytes, type, body) VALUES (?, ?, ?, ?, ?, ?, ?)`,
        message.id ?? newId(),
        message.timestampMs ?? now,
        now,
        delayMs === null ? at : at + (delaySeconds === undefined ? delayMs : delaySeconds * 1_000),
        bytes,
        contentType,
        typeof body === "string" ? body : ownBuffer(body),
      );
      this.#count++;
      this.#bytes += bytes;
      added++;
    }
    if (source !== undefined && added > 0) {
      this.#sql.exec(`INSERT OR REPLACE INTO sources (name, sequence) VALUES (?, ?)`, source, last);
    }
    return added;
  }

  get #lastDue(): number {
    return this.#sql
      .exec<{ due: number }>(`SELECT COALESCE(MAX(due), 0) AS due FROM messages`)
      .one().due;
  }

  #lastOf(source: string): number {
    const [row] = this.#sql
      .exec<{ sequence: number }>(`SELECT sequence FROM sources WHERE name = ?`, source)
      .toArray();
    return row?.sequence ?? 0;
  }

  /** Of those that are due and not taken: how many there are, `limit` at most, and since when the first is due. */
  waiting(now: number, limit: number): { readonly count: number; readonly since: number | null } {
    return this.#sql
      .exec<{ count: number; since: number | null }>(
        `SELECT COUNT(*) AS count, MIN(due) AS since FROM (
           SELECT due FROM messages WHERE (due, seq) > (?, ?) AND due <= ? ORDER BY due, seq LIMIT ?)`,
        this.#taken.due,
        this.#taken.seq,
        now,
        limit,
      )
      .one();
  }

  /** When the first of those that are not taken is or was due; null: there is none. */
  get nextDue(): number | null {
    const [row] = this.#sql
      .exec<{ due: number }>(
        `SELECT due FROM messages WHERE (due, seq) > (?, ?) ORDER BY due, seq LIMIT 1`,
        this.#taken.due,
        this.#taken.seq,
      )
      .toArray();
    return row?.due ?? null;
  }

  /** Takes those that are due, one at least. They are not taken again until they come back by `retry` or `putBack`. */
  take(now: number, limit: number, maxBytes: number): StoredMessage[] {
    const taken = withoutSuspects(this.due(this.#taken, now, limit, maxBytes));
    const last = taken.at(-1);
    if (last !== undefined) this.#taken = { due: last.due, seq: last.seq };
    return taken;
  }

  due(after: Position, now: number, limit: number, maxBytes: number): StoredMessage[] {
    const found: StoredMessage[] = [];
    let bytes = 0;
    const rows = this.#sql.exec<StoredMessage>(
      `SELECT seq, id, timestamp, due, bytes, attempts, losses, type, body FROM messages
       WHERE (due, seq) > (?, ?) AND due <= ? ORDER BY due, seq LIMIT ?`,
      after.due,
      after.seq,
      now,
      limit,
    );
    for (const row of rows) {
      bytes += row.bytes;
      if (found.length > 0 && bytes > maxBytes) break;
      found.push(row);
    }
    return found;
  }

  /** Nothing is under way any more: all are to be had again. */
  forgetTaken(): void {
    this.#taken = START;
  }

  /** Those that are gone already do not matter. */
  remove(seqs: readonly number[]): void {
    if (seqs.length === 0) return;
    this.#forget(
      this.#sql.exec<{ bytes: number }>(
        `DELETE FROM messages WHERE seq IN (SELECT value FROM json_each(?)) RETURNING bytes`,
        JSON.stringify(seqs),
      ),
    );
  }

  /** Its delivery failed: it comes again after `delayMs`. */
  retry(seq: number, now: number, delayMs: number): void {
    this.#sql.exec(
      `UPDATE messages SET attempts = attempts + 1, losses = 0, due = ?, lease = NULL WHERE seq = ?`,
      this.#after(now + delayMs),
      seq,
    );
  }

  /** The same in a queue whose order holds. */
  countAttempt(seq: number): void {
    this.#sql.exec(`UPDATE messages SET attempts = attempts + 1, losses = 0 WHERE seq = ?`, seq);
  }

  /** A process was lost with them. From the one after the first `free` losses on, each counts as an attempt, too. */
  countLoss(seqs: readonly number[], free: number): void {
    this.#sql.exec(
      `UPDATE messages SET losses = losses + 1, attempts = attempts + (losses >= ?)
       WHERE seq IN (SELECT value FROM json_each(?))`,
      free,
      JSON.stringify(seqs),
    );
  }

  /** Their delivery did not come about: they can be had again at once. */
  putBack(seqs: readonly number[], now: number): void {
    this.#sql.exec(
      `UPDATE messages SET due = ? WHERE seq IN (SELECT value FROM json_each(?))`,
      this.#after(now),
      JSON.stringify(seqs),
    );
  }

  /** Behind all that were taken, or it would be overlooked. */
  #after(due: number): number {
    return Math.max(due, this.#taken.due + 1);
  }

  lease(seq: number, lease: string, until: number): void {
    this.#sql.exec(
      `UPDATE messages SET attempts = attempts + 1, due = ?, lease = ? WHERE seq = ?`,
      until,
      lease,
      seq,
    );
  }

  /** The message that is leased so; undefined: the lease has ended. */
  leased(seq: number, lease: string, now: number): { readonly attempts: number } | undefined {
    return this.#sql
      .exec<{ attempts: number }>(
        `SELECT attempts FROM messages WHERE seq = ? AND lease = ? AND due > ?`,
        seq,
        lease,
        now,
      )
      .toArray()[0];
  }

  /** Ends a lease. */
  release(seq: number, due: number): void {
    this.#sql.exec(`UPDATE messages SET due = ?, lease = NULL WHERE seq = ?`, due, seq);
  }

  /** To the dead letter queue. */
  bury(seqs: readonly number[], now: number): void {
    if (seqs.length === 0) return;
    this.#sql.exec(
      `INSERT INTO dead (id, timestamp, stored, bytes, type, body)
       SELECT id, timestamp, ?, bytes, type, body FROM messages
       WHERE seq IN (SELECT value FROM json_each(?)) ORDER BY seq`,
      now,
      JSON.stringify(seqs),
    );
    this.#sql.exec(
      `DELETE FROM messages WHERE seq IN (SELECT value FROM json_each(?))`,
      JSON.stringify(seqs),
    );
  }

  get hasDead(): boolean {
    return this.#sql.exec(`SELECT 1 FROM dead LIMIT 1`).toArray().length > 0;
  }

  /** The next of those on their way to the dead letter queue. */
  dead(limit: number): NewMessage[] {
    return this.#sql
      .exec<StoredMessage & { sequence: number }>(
        `SELECT sequence, id, timestamp, type, body FROM dead ORDER BY sequence LIMIT ?`,
        limit,
      )
      .toArray()
      .map(({ sequence, id, timestamp, type, body }) => ({
        sequence,
        id,
        timestampMs: timestamp,
        contentType: type,
        body: typeof body === "string" ? body : new Uint8Array(body),
      }));
  }

  /** The dead letter queue has them up to `sequence`, or nobody wants them. */
  removeDead(sequence: number): number {
    return this.#forget(
      this.#sql.exec<{ bytes: number }>(
        `DELETE FROM dead WHERE sequence <= ? RETURNING bytes`,
        sequence,
      ),
    );
  }

  /** Those that were stored before `time`, `limit` at most. */
  storedBefore(time: number, limit: number): number[] {
    const seqs: number[] = [];
    const rows = this.#sql.exec<{ seq: number; stored: number }>(
      `SELECT seq, stored FROM messages ORDER BY seq LIMIT ?`,
      limit,
    );
    for (const { seq, stored } of rows) {
      if (stored >= time) break;
      seqs.push(seq);
    }
    return seqs;
  }

  /** The last of the dead that were stored before `time`; null: there is none. */
  deadBefore(time: number): number | null {
    return this.#sql
      .exec<{ last: number | null }>(
        `SELECT MAX(sequence) AS last FROM (SELECT sequence, stored FROM dead ORDER BY sequence LIMIT 100)
         WHERE stored < ?`,
        time,
      )
      .one().last;
  }

  /** All, also what is under way. */
  purge(): void {
    this.#sql.exec(`DELETE FROM messages`);
    this.#sql.exec(`DELETE FROM dead`);
    this.#count = 0;
    this.#bytes = 0;
  }

  #forget(removed: Iterable<{ readonly bytes: number }>): number {
    let count = 0;
    for (const { bytes } of removed) {
      count++;
      this.#bytes -= bytes;
    }
    this.#count -= count;
    return count;
  }
}

export function sizeOf(body: NewMessage["body"]): number {
  return typeof body === "string" ? encoder.encode(body).byteLength : body.byteLength;
}

/** The first alone if it is suspect; else those before the first that is. */
function withoutSuspects(messages: StoredMessage[]): StoredMessage[] {
  const suspect = messages.findIndex(({ losses }) => losses >= SUSPECT_LOSSES);
  return suspect === -1 ? messages : messages.slice(0, Math.max(suspect, 1));
}

/** 32 hex digits, as on Cloudflare. */
export function newId(): string {
  return crypto.getRandomValues(new Uint8Array(16)).toHex();
}

function ownBuffer(bytes: Uint8Array): ArrayBuffer {
  return bytes.slice().buffer as ArrayBuffer;
}
