/**
 * FunctionMetrics: one Durable Object per function, named `<namespace>/<script>`, holding its metrics in
 * SQLite. Written by batches from dispatcher isolates, read by the API. An alarm rolls minutes up into
 * hours and days and deletes what is past its retention; an object without work sets none.
 */
import { DurableObject } from "cloudflare:workers";
import type {
  KindTotals,
  MetricsSeries,
  SeriesQuery,
  VersionTotals,
} from "../protocol/metrics-report.ts";
import type { MetricsBatch } from "../protocol/telemetry.ts";
import { HOUR, MINUTE, startOf } from "./metrics-schema.ts";
import { MetricsStore } from "./metrics-store.ts";
import { readSeries, readVersions } from "./metrics-summary.ts";

/** Alarms are spread over this long after the hour, so that thousands of objects do not wake at once. */
const ALARM_SPREAD_MS = 10 * MINUTE;

export class FunctionMetrics extends DurableObject {
  readonly #store = new MetricsStore(this.ctx.storage);
  /** Up to here an alarm is known to be set. */
  #alarmMs = 0;

  /** Resolves once the batch is stored. A batch that was stored before changes nothing. */
  async record(batch: MetricsBatch): Promise<void> {
    const nowMs = Date.now();
    this.#store.record(batch, nowMs);
    if (nowMs >= this.#alarmMs) await this.#setAlarm(nowMs);
  }

  /** Points and summaries of a time range. Throws a RangeError if it is empty or the step too small. */
  series(query: SeriesQuery): MetricsSeries {
    const { sinceMs, untilMs, stepSeconds } = query;
    if (!(sinceMs < untilMs)) {
      throw new RangeError(`since (${sinceMs}) must be before until (${untilMs})`);
    }
    if (stepSeconds !== null && !(stepSeconds > 0)) {
      throw new RangeError(`step must be more than 0 seconds, not ${stepSeconds}`);
    }
    return readSeries(this.#store, query, Date.now());
  }

  /** What each version did from the minute of `sinceMs` on, for comparisons that need whole distributions. */
  versionTotals(sinceMs: number, untilMs: number): VersionTotals[] {
    return readVersions(this.#store, startOf(sinceMs, MINUTE), untilMs);
  }

  /** Counters since the first invocation, for Prometheus. */
  totals(): KindTotals[] {
    return [...this.#store.lifetime()].map(([kind, totals]) => ({ kind, totals: totals.toData() }));
  }

  /** Forgets everything: the function was deleted. */
  async destroy(): Promise<void> {
    this.#alarmMs = 0;
    await this.ctx.storage.deleteAlarm();
    await this.#store.deleteAll();
  }

  override async alarm(): Promise<void> {
    const nowMs = Date.now();
    this.#store.maintain(nowMs);
    this.#alarmMs = 0;
    await this.#setAlarm(nowMs);
  }

  /** Sets the alarm for the next maintenance, unless an earlier one is set. */
  async #setAlarm(nowMs: number): Promise<void> {
    const dueMs = this.#store.nextMaintenanceMs(nowMs);
    if (dueMs === null) return;
    const current = await this.ctx.storage.getAlarm();
    if (current !== null && current <= dueMs + ALARM_SPREAD_MS) {
      this.#alarmMs = current;
      return;
    }
    const spreadMs = Math.floor(Math.random() * ALARM_SPREAD_MS);
    await this.ctx.storage.setAlarm(dueMs + spreadMs);
    // Not later than an hour: a record may bring the next maintenance forward.
    this.#alarmMs = Math.min(dueMs + spreadMs, nowMs + HOUR);
  }
}
