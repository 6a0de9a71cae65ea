/**
 * The rows of one function in SQLite: merge on write, roll-up, expiry, reading. Synchronous, without a
 * clock of its own. FunctionMetrics owns it.
 *
 * Every invocation is in the row of its minute. Hours before `rolledHour` also have hour rows and are in
 * `lifetime`; days before `rolledDay` also have day rows. A record that arrives for a time that is
 * rolled up already is added to each of them, so all resolutions always agree.
 */
import type { MetricsBatch, MetricsDelta } from "../protocol/telemetry.ts";
import { Aggregate } from "./aggregate.ts";
import { coverRange, type Rolled } from "./metrics-cover.ts";
import {
  DAY,
  HOUR,
  MINUTE,
  RETENTION_MS,
  SOURCE_RETENTION_MS,
  TABLES,
  encodeAggregate,
  mergeEncoded,
  startOf,
  type Resolution,
} from "./metrics-schema.ts";

export interface StoredRow {
  readonly startMs: number;
  readonly versionId: string;
  /** Adds the row to `aggregate`. */
  addTo(aggregate: Aggregate): void;
}

export class MetricsStore {
  readonly #storage: DurableObjectStorage;
  #hasTables: boolean;

  constructor(storage: DurableObjectStorage) {
    this.#storage = storage;
    // Made by the first write only: reading the metrics of a function that never ran leaves no trace.
    const tables = storage.sql.exec("SELECT 1 FROM sqlite_master WHERE name = 'state'");
    this.#hasTables = tables.toArray().length > 0;
  }

  /** Stores a batch as a whole. False if it was stored before. */
  record(batch: MetricsBatch, nowMs: number): boolean {
    // Not inside the transaction: undoing that would leave #hasTables wrong.
    if (!this.#hasTables) this.#storage.sql.exec(TABLES);
    this.#hasTables = true;
    return this.#storage.transactionSync(() => {
      if (!this.#isNew(batch, nowMs)) return false;
      const rolled = this.#rolled();
      const late = new Aggregate();
      for (const delta of batch.deltas) {
        this.#addToRow(MINUTE, delta);
        if (delta.minute >= rolled.hourMs) continue;
        this.#addToRow(HOUR, delta);
        late.merge(delta);
        if (delta.minute < rolled.dayMs) this.#addToRow(DAY, delta);
      }
      if (!late.isEmpty) this.#addToLifetime(late);
      return true;
    });
  }

  /** Rolls up the hours and days that have ended and deletes what is past its retention. */
  maintain(nowMs: number): void {
    if (!this.#hasTables) return;
    this.#storage.transactionSync(() => {
      const before = this.#rolled();
      const rolled: Rolled = {
        hourMs: Math.max(before.hourMs, startOf(nowMs, HOUR)),
        dayMs: Math.max(before.dayMs, startOf(nowMs, DAY)),
      };
      this.#addToLifetime(this.#roll(MINUTE, HOUR, before.hourMs, rolled.hourMs));
      this.#roll(HOUR, DAY, before.dayMs, rolled.dayMs);
      this.#setState("rolledHour", String(rolled.hourMs));
      this.#setState("rolledDay", String(rolled.dayMs));
      for (const resolution of [MINUTE, HOUR, DAY] as const) {
        this.#storage.sql.exec(
          "DELETE FROM rows WHERE resolution = ? AND start < ?",
          resolution,
          nowMs - RETENTION_MS[resolution],
        );
      }
      this.#storage.sql.exec("DELETE FROM sources WHERE seen < ?", nowMs - SOURCE_RETENTION_MS);
    });
  }

  /** When `maintain` has work next: something to roll up or to delete. null: never. */
  nextMaintenanceMs(nowMs: number): number | null {
    if (!this.#hasTables) return null;
    const rolled = this.#rolled();
    const due: number[] = [];
    for (const resolution of [MINUTE, HOUR, DAY] as const) {
      const { first, last } = this.#storage.sql
        .exec<{ first: number | null; last: number | null }>(
          "SELECT min(start) AS first, max(start) AS last FROM rows WHERE resolution = ?",
          resolution,
        )
        .one();
      if (first === null || last === null) continue;
      // Together with the next roll-up, not one wake-up per row.
      due.push(first + RETENTION_MS[resolution] + (resolution === MINUTE ? HOUR : DAY));
      if (resolution === MINUTE && last >= rolled.hourMs) due.push(startOf(nowMs, HOUR) + HOUR);
      if (resolution === HOUR && last >= rolled.dayMs) due.push(startOf(nowMs, DAY) + DAY);
    }
    return due.length === 0 ? null : Math.max(nowMs + MINUTE, Math.min(...due));
  }

  /** The rows that make up [sinceMs, untilMs), each as coarse as `coarsest` and the roll-up allow. */
  *rows(sinceMs: number, untilMs: number, coarsest: Resolution): Iterable<StoredRow> {
    if (!this.#hasTables) return;
    for (const { resolution, fromMs, toMs } of coverRange(
      sinceMs,
      untilMs,
      coarsest,
      this.#rolled(),
    )) {
      const cursor = this.#storage.sql.exec<{ start: number; version: string; data: string }>(
        "SELECT start, version, data FROM rows WHERE resolution = ? AND start >= ? AND start < ?",
        resolution,
        fromMs,
        toMs,
      );
      for (const { start, version, data } of cursor) {
        yield {
          startMs: start,
          versionId: version,
          addTo: (aggregate) => mergeEncoded(aggregate, data),
        };
      }
    }
  }

  /** Everything ever recorded, whatever has expired since. */
  lifetime(): Aggregate {
    const total = new Aggregate();
    if (!this.#hasTables) return total;
    const stored = this.#state("lifetime");
    if (stored !== null) mergeEncoded(total, stored);
    for (const row of this.rows(this.#rolled().hourMs, Number.MAX_SAFE_INTEGER, MINUTE)) {
      row.addTo(total);
    }
    return total;
  }

  async deleteAll(): Promise<void> {
    this.#hasTables = false;
    await this.#storage.deleteAll();
  }

  /** Takes note of the batch's sequence. */
  #isNew({ source, sequence }: MetricsBatch, nowMs: number): boolean {
    const taken = this.#storage.sql.exec(
      `INSERT INTO sources (source, sequence, seen) VALUES (?, ?, ?)
       ON CONFLICT (source) DO UPDATE SET sequence = excluded.sequence, seen = excluded.seen
       WHERE excluded.sequence > sequence RETURNING 1`,
      source,
      sequence,
      nowMs,
    );
    return taken.toArray().length > 0;
  }

  #addToRow(resolution: Resolution, delta: MetricsDelta): void {
    const start = startOf(delta.minute, resolution);
    const aggregate = new Aggregate();
    aggregate.merge(delta);
    const stored = this.#storage.sql.exec<{ data: string }>(
      "SELECT data FROM rows WHERE resolution = ? AND start = ? AND version = ?",
      resolution,
      start,
      delta.versionId,
    );
    for (const { data } of stored.toArray()) mergeEncoded(aggregate, data);
    this.#putRow(resolution, start, delta.versionId, aggregate);
  }

  /** Makes the rows of `coarse` from those of `fine` that start in [fromMs, toMs), and returns their sum. */
  #roll(fine: Resolution, coarse: Resolution, fromMs: number, toMs: number): Aggregate {
    const all = new Aggregate();
    const byStart = new Map<number, Map<string, Aggregate>>();
    const cursor = this.#storage.sql.exec<{ start: number; version: string; data: string }>(
      "SELECT start, version, data FROM rows WHERE resolution = ? AND start >= ? AND start < ?",
      fine,
      fromMs,
      toMs,
    );
    for (const { start, version, data } of cursor) {
      const coarseStart = startOf(start, coarse);
      let versions = byStart.get(coarseStart);
      if (versions === undefined) byStart.set(coarseStart, (versions = new Map()));
      let aggregate = versions.get(version);
      if (aggregate === undefined) versions.set(version, (aggregate = new Aggregate()));
      mergeEncoded(aggregate, data);
    }
    for (const [start, versions] of byStart) {
      for (const [version, aggregate] of versions) {
        all.merge(aggregate.toData());
        this.#putRow(coarse, start, version, aggregate);
      }
    }
    return all;
  }

  #putRow(resolution: Resolution, start: number, version: string, aggregate: Aggregate): void {
    this.#storage.sql.exec(
      "INSERT OR REPLACE INTO rows (resolution, start, version, data) VALUES (?, ?, ?, ?)",
      resolution,
      start,
      version,
      encodeAggregate(aggregate),
    );
  }

  #addToLifetime(added: Aggregate): void {
    const stored = this.#state("lifetime");
    if (stored !== null) mergeEncoded(added, stored);
    this.#setState("lifetime", encodeAggregate(added));
  }

  #rolled(): Rolled {
    return {
      hourMs: Number(this.#state("rolledHour") ?? 0),
      dayMs: Number(this.#state("rolledDay") ?? 0),
    };
  }

  #state(name: string): string | null {
    const rows = this.#storage.sql.exec<{ value: string }>(
      "SELECT value FROM state WHERE name = ?",
      name,
    );
    return rows.toArray()[0]?.value ?? null;
  }

  #setState(name: string, value: string): void {
    this.#storage.sql.exec("INSERT OR REPLACE INTO state (name, value) VALUES (?, ?)", name, value);
  }
}
