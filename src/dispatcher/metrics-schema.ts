/**
 * How a FunctionMetrics object stores its rows: resolutions, retention, tables and the encoding of a
 * row. docs/metrics.md states the retention for readers.
 *
 *   rows     one row per resolution, start, version and kind of invocation; `data` is an encoded Aggregate
 *   sources  the highest sequence taken from each dispatcher isolate
 *   state    `lifetime <kind>` (encoded Aggregate of all that is rolled up), `rolledHour`, `rolledDay`
 */
import { COLD_PHASES, type HistogramData } from "../protocol/telemetry.ts";
import type { Aggregate, AggregateData } from "./aggregate.ts";

/** A resolution is named by its length in milliseconds, here and in the table. */
export const MINUTE = 60_000;
export const HOUR = 3_600_000;
export const DAY = 86_400_000;
export type Resolution = typeof MINUTE | typeof HOUR | typeof DAY;

/** How long rows are kept. Each is a little over the next resolution's natural range. */
export const RETENTION_MS = { [MINUTE]: 2 * DAY, [HOUR]: 32 * DAY, [DAY]: 400 * DAY } as const;

/** A source that was silent for so long is gone, and none of its batches is on its way any more. */
export const SOURCE_RETENTION_MS = 7 * DAY;

export const TABLES = `
  CREATE TABLE IF NOT EXISTS rows (
    resolution INTEGER NOT NULL, start INTEGER NOT NULL, version TEXT NOT NULL, kind TEXT NOT NULL,
    data TEXT NOT NULL, PRIMARY KEY (resolution, start, version, kind)
  ) WITHOUT ROWID;
  CREATE TABLE IF NOT EXISTS sources (
    source TEXT PRIMARY KEY, sequence INTEGER NOT NULL, seen INTEGER NOT NULL
  ) WITHOUT ROWID;
  CREATE TABLE IF NOT EXISTS state (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
`;

/** Of an object from before there were kinds: what it has counted were requests, but for a few tails and RPC calls. */
export const ADD_KINDS = `
  ALTER TABLE rows RENAME TO rows_without_kind;
  ${TABLES}
  INSERT INTO rows (resolution, start, version, kind, data)
    SELECT resolution, start, version, 'fetch', data FROM rows_without_kind;
  DROP TABLE rows_without_kind;
  UPDATE state SET name = 'lifetime fetch' WHERE name = 'lifetime';
`;

/** `[sum, zero, index, count, index, count, …]`, each index after the first as the distance to it. */
type EncodedHistogram = number[];

/** Short keys: a busy function has thousands of rows. */
interface EncodedAggregate {
  /** outcomes */ o: AggregateData["outcomes"];
  /** statuses */ s: AggregateData["statuses"];
  /** request bytes */ q: number;
  /** response bytes */ r: number;
  /** wall */ w: EncodedHistogram;
  /** cpu */ c?: EncodedHistogram;
  /** cold starts */ n: number;
  /** retries; absent: none */ t?: number;
  /** phases, in the order of COLD_PHASES; absent without a cold start */ p?: EncodedHistogram[];
}

export function encodeAggregate(aggregate: Aggregate): string {
  const data = aggregate.toData();
  const encoded: EncodedAggregate = {
    o: data.outcomes,
    s: data.statuses,
    q: data.requestBytes,
    r: data.responseBytes,
    w: encodeHistogram(data.wall),
    n: data.coldStarts,
  };
  if (data.cpu !== undefined) encoded.c = encodeHistogram(data.cpu);
  if (data.retries > 0) encoded.t = data.retries;
  if (data.coldStarts > 0) {
    encoded.p = COLD_PHASES.map((phase) => encodeHistogram(data.phases[phase]));
  }
  return JSON.stringify(encoded);
}

/** Adds what `text` encodes to `aggregate`. */
export function mergeEncoded(aggregate: Aggregate, text: string): void {
  const encoded = JSON.parse(text) as EncodedAggregate;
  const phases = Object.fromEntries(
    COLD_PHASES.map((phase, index) => [phase, decodeHistogram(encoded.p?.[index])]),
  );
  aggregate.merge({
    outcomes: encoded.o,
    statuses: encoded.s,
    requestBytes: encoded.q,
    responseBytes: encoded.r,
    wall: decodeHistogram(encoded.w),
    ...(encoded.c === undefined ? {} : { cpu: decodeHistogram(encoded.c) }),
    coldStarts: encoded.n,
    retries: encoded.t ?? 0,
    phases: encoded.p === undefined ? {} : phases,
  });
}

export function encodeHistogram(data: HistogramData | undefined): EncodedHistogram {
  if (data === undefined) return [];
  const encoded = [data.sum, data.zero];
  let previous = 0;
  for (const [index, count] of data.buckets) {
    encoded.push(index - previous, count);
    previous = index;
  }
  return encoded;
}

export function decodeHistogram(encoded: EncodedHistogram = []): HistogramData {
  const [sum = 0, zero = 0] = encoded;
  const buckets: [number, number][] = [];
  let index = 0;
  let total = zero;
  for (let at = 2; at + 1 < encoded.length; at += 2) {
    index += encoded[at] as number;
    const count = encoded[at + 1] as number;
    total += count;
    buckets.push([index, count]);
  }
  return { count: total, sum, zero, buckets };
}

/** Start of the period of `length` milliseconds that `timeMs` is in. */
export function startOf(timeMs: number, length: number): number {
  return Math.floor(timeMs / length) * length;
}

export function endOf(timeMs: number, length: number): number {
  return Math.ceil(timeMs / length) * length;
}
