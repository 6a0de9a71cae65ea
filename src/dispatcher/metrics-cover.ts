/** Which rows to read for a time range: pure arithmetic on resolutions and roll-up marks. */
import {
  DAY,
  HOUR,
  MINUTE,
  RETENTION_MS,
  endOf,
  startOf,
  type Resolution,
} from "./metrics-schema.ts";
import type { SeriesQuery } from "../protocol/metrics-report.ts";

/** Starts of the first hour and the first day that are not rolled up. */
export interface Rolled {
  readonly hourMs: number;
  readonly dayMs: number;
}

export interface RangePiece {
  readonly resolution: Resolution;
  readonly fromMs: number;
  readonly toMs: number;
}

/** Ranges without points that are longer than this are read from hours. */
const LONG_SUMMARY_MS = 6 * HOUR;

/**
 * Splits [sinceMs, untilMs) into pieces that do not overlap, in order: rows of `coarsest` where whole
 * periods are inside the range and rolled up, finer ones at the edges.
 */
export function coverRange(
  sinceMs: number,
  untilMs: number,
  coarsest: Resolution,
  rolled: Rolled,
): RangePiece[] {
  if (sinceMs >= untilMs) return [];
  if (coarsest === MINUTE) return [{ resolution: MINUTE, fromMs: sinceMs, toMs: untilMs }];
  const finer = coarsest === DAY ? HOUR : MINUTE;
  const rolledMs = coarsest === DAY ? rolled.dayMs : rolled.hourMs;
  const fromMs = endOf(sinceMs, coarsest);
  const toMs = startOf(Math.min(untilMs, rolledMs), coarsest);
  if (fromMs >= toMs) return coverRange(sinceMs, untilMs, finer, rolled);
  return [
    ...coverRange(sinceMs, fromMs, finer, rolled),
    { resolution: coarsest, fromMs, toMs },
    ...coverRange(toMs, untilMs, finer, rolled),
  ];
}

export interface SeriesPlan {
  readonly sinceMs: number;
  readonly untilMs: number;
  readonly stepMs: number | null;
  readonly coarsest: Resolution;
}

/**
 * Widens a query to whole steps of rows that are still there, in the finest resolution that reaches back
 * to `sinceMs`, and picks the coarsest one that gives the same points.
 */
export function planSeries(query: SeriesQuery, nowMs: number): SeriesPlan {
  const finest = finestKept(query.sinceMs, nowMs);
  if (query.stepSeconds === null) {
    const long = query.untilMs - query.sinceMs > LONG_SUMMARY_MS ? HOUR : MINUTE;
    return {
      sinceMs: startOf(query.sinceMs, finest),
      untilMs: endOf(query.untilMs, finest),
      stepMs: null,
      coarsest: coarser(finest, long),
    };
  }
  const stepMs = endOf(query.stepSeconds * 1000, finest);
  const sinceMs = startOf(query.sinceMs, stepMs);
  const dividing = stepMs % DAY === 0 ? DAY : stepMs % HOUR === 0 ? HOUR : MINUTE;
  return {
    sinceMs,
    untilMs: endOf(query.untilMs, stepMs),
    stepMs,
    coarsest: coarser(finest, dividing),
  };
}

function finestKept(sinceMs: number, nowMs: number): Resolution {
  if (sinceMs >= nowMs - RETENTION_MS[MINUTE]) return MINUTE;
  return sinceMs >= nowMs - RETENTION_MS[HOUR] ? HOUR : DAY;
}

function coarser(a: Resolution, b: Resolution): Resolution {
  return a > b ? a : b;
}
