/**
 * The rows of one function in SQLite: merge on write, roll-up, expiry, reading. Synchronous, without a
 * clock of its own. FunctionMetrics owns it.
 *
 * Every invocation is in the row of its minute. Hours before `rolledHour` also have hour rows and are in
 * `lifetime`; days before `rolledDay` also have day rows. A record that arrives for a time that is
 * rolled up already is added to each of them, so all resolutions always agree.
 */
import {
  INVOCATION_KINDS,
  type InvocationKind,
  type MetricsBatch,
  type MetricsDelta,
} from "../protocol/telemetry.ts";
import { Aggregate } from "./aggregate.ts";
import { coverRange, type Rolled } from "./metrics-cover.ts";
import {
  ADD_KINDS,
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
  readonly kind: InvocationKind;
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
    const kinds = storage.sql.exec("SELECT 1 FROM pragma_table_info('rows') WHERE name = 'kind'");
    if (this.#hasTables && kinds.toArray().length === 0) {
      storage.transactionSync(() => storage.sql.exec(ADD_KINDS));
    }
  }

  /** Stores a batch as a whole. False if it was stored before. */
  record(batch: MetricsBatch, nowMs: number): boolean {
    // Not inside the transaction: undoing that would leave #hasTables wrong.
    if (!this.#hasTables) this.#storage.sql.exec(TABLES);
    this.#hasTables = true;
    return this.#storage.transactionSync(() => {
      if (!this.#isNew(batch, nowMs)) return false;
      const rolled = this.#rolled();
      const late = new Map<InvocationKind, Aggregate>();
      for (const delta of batch.deltas) {
        this.#addToRow(MINUTE, delta);
        if (delta.minute >= rolled.hourMs) continue;
        this.#addToRow(HOUR, delta);
        aggregateOf(late, delta.kind).merge(delta);
        if (delta.minute < rolled.dayMs) this.#addToRow(DAY, delta);
      }
      this.#addToLifetime(late);
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
      const cursor = this.#storage.sql.exec<RowOfKind>(
        "SELECT start, version, kind, data FROM rows WHERE resolution = ? AND start >= ? AND start < ?",
        resolution,
        fromMs,
        toMs,
      );
      for (const { start, version, kind, data } of cursor) {
        yield {
          startMs: start,
          versionId: version,
          kind,
          addTo: (aggregate) => mergeEncoded(aggregate, data),
        };
      }
    }
  }

  /** Everything ever recorded, whatever has expired since. */
  lifetime(): Map<InvocationKind, Aggregate> {
    const totals = new Map<InvocationKind, Aggregate>();
    if (!this.#hasTables) return totals;
    for (const kind of INVOCATION_KINDS) {
      const stored = this.#state(lifetimeOf(kind));
      if (stored !== null) mergeEncoded(aggregateOf(totals, kind), stored);
    }
    for (const row of this.rows(this.#rolled().hourMs, Number.MAX_SAFE_INTEGER, MINUTE)) {
      row.addTo(aggregateOf(totals, row.kind));
    }
    return totals;
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
      "SELECT data FROM rows WHERE resolution = ? AND start = ? AND version = ? AND kind = ?",
      resolution,
      start,
      delta.versionId,
      delta.kind,
    );
    for (const { data } of stored.toArray()) mergeEncoded(aggregate, data);
    this.#putRow(resolution, start, delta, aggregate);
  }

  /** Makes the rows of `coarse` from those of `fine` that start in [fromMs, toMs), and returns their sums. */
  #roll(
    fine: Resolution,
    coarse: Resolution,
    fromMs: number,
    toMs: number,
  ): Map<InvocationKind, Aggregate> {
    const all = new Map<InvocationKind, Aggregate>();
    const rows = new Map<string, RowKey & { readonly start: number; readonly sum: Aggregate }>();
    const cursor = this.#storage.sql.exec<RowOfKind>(
      "SELECT start, version, kind, data FROM rows WHERE resolution = ? AND start >= ? AND start < ?",
      fine,
      fromMs,
      toMs,
    );
    for (const { start: fineStart, version: versionId, kind, data } of cursor) {
      const start = startOf(fineStart, coarse);
      const key = `${start} ${versionId} ${kind}`;
      let row = rows.get(key);
      if (row === undefined)
        rows.set(key, (row = { start, versionId, kind, sum: new Aggregate() }));
      mergeEncoded(row.sum, data);
    }
    for (const row of rows.values()) {
      aggregateOf(all, row.kind).merge(row.sum.toData());
      this.#putRow(coarse, row.start, row, row.sum);
    }
    return all;
  }

  #putRow(
    resolution: Resolution,
    start: number,
    { versionId, kind }: RowKey,
    aggregate: Aggregate,
  ): void {
    this.#storage.sql.exec(
      "INSERT OR REPLACE INTO rows (resolution, start, version, kind, data) VALUES (?, ?, ?, ?, ?)",
      resolution,
      start,
      versionId,
      kind,
      encodeAggregate(aggregate),
    );
  }

  #addToLifetime(added: ReadonlyMap<InvocationKind, Aggregate>): void {
    for (const [kind, aggregate] of added) {
      const stored = this.#state(lifetimeOf(kind));
      if (stored !== null) mergeEncoded(aggregate, stored);
      this.#setState(lifetimeOf(kind), encodeAggregate(aggregate));
    }
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

type RowKey = Pick<MetricsDelta, "versionId" | "kind">;

interface RowOfKind extends Record<string, SqlStorageValue> {
  start: number;
  version: string;
  kind: InvocationKind;
  data: string;
}

function lifetimeOf(kind: InvocationKind): string {
  return `lifetime ${kind}`;
}

function aggregateOf(map: Map<InvocationKind, Aggregate>, kind: InvocationKind): Aggregate {
  let aggregate = map.get(kind);
  if (aggregate === undefined) map.set(kind, (aggregate = new Aggregate()));
  return aggregate;
}
