/** The time range of a metrics read: `since`, `until` and `step` of the query, validated. */
import * as z from "zod";
import type { SeriesQuery } from "../protocol/metrics-report.ts";

/** More points than this are no chart any more, and each costs a computation of quantiles. */
export const MAX_POINTS = 1_500;

/** Without `step`, a range is cut into about this many points. */
const USUAL_POINTS = 60;

const UNIT_SECONDS: Readonly<Record<string, number>> = { s: 1, m: 60, h: 3_600, d: 86_400 };

/** Steps that divide hours and days without a rest. */
const ROUND_STEPS_SECONDS = [60, 120, 300, 600, 900, 1_800, 3_600, 10_800, 21_600, 43_200, 86_400];

export const TIME_FORMS =
  "an ISO 8601 time such as 2026-11-23T12:00:00Z, Unix seconds, or a time ago such as 30m, 1h or 7d";

/** What a query string may hold. Parsed against the clock by `parseRange`. */
const text = z.object({
  since: z.string().default("1h"),
  until: z.string().default("0s"),
  step: z.string().optional(),
});

export type RangeResult =
  | { readonly ok: true; readonly value: SeriesQuery }
  | { readonly ok: false; readonly message: string };

/**
 * @param points False for reads that answer with summaries only: `step` is then refused.
 */
export function parseRange(
  query: Readonly<Record<string, string>>,
  nowMs: number,
  points: boolean,
): RangeResult {
  const schema = text.transform((raw, context): SeriesQuery => {
    const sinceMs = parseTime(raw.since, nowMs);
    const untilMs = parseTime(raw.until, nowMs);
    const refuse = (message: string) => {
      context.addIssue({ code: "custom", message });
      return z.NEVER;
    };
    if (sinceMs === null) return refuse(`since is '${raw.since}', expected ${TIME_FORMS}`);
    if (untilMs === null) return refuse(`until is '${raw.until}', expected ${TIME_FORMS}`);
    if (sinceMs >= untilMs) {
      return refuse(
        `since (${iso(sinceMs)}) is not before until (${iso(untilMs)}): ask for a longer range`,
      );
    }
    if (!points) {
      if (raw.step === undefined) return { sinceMs, untilMs, stepSeconds: null };
      return refuse("step is not supported here: this answer has one summary per function");
    }
    const rangeSeconds = (untilMs - sinceMs) / 1000;
    const stepSeconds =
      raw.step === undefined ? usualStep(rangeSeconds) : parseDurationSeconds(raw.step);
    if (stepSeconds === null || stepSeconds < 1) {
      return refuse(`step is '${raw.step}', expected seconds or a duration such as 60s, 5m or 1h`);
    }
    if (rangeSeconds / stepSeconds > MAX_POINTS) {
      const least = Math.ceil(rangeSeconds / MAX_POINTS);
      return refuse(
        `a step of ${stepSeconds} s makes more than ${MAX_POINTS} points: use ${least} s or more`,
      );
    }
    return { sinceMs, untilMs, stepSeconds };
  });
  const parsed = schema.safeParse(query);
  if (parsed.success) return { ok: true, value: parsed.data };
  return { ok: false, message: parsed.error.issues.map(({ message }) => message).join("; ") };
}

/** null: `value` has none of TIME_FORMS. */
export function parseTime(value: string, nowMs: number): number | null {
  if (/^\d{9,11}(\.\d+)?$/.test(value)) return Math.floor(Number(value) * 1000);
  if (/^\d+[smhd]$/.test(value)) {
    const agoSeconds = parseDurationSeconds(value) ?? 0;
    return nowMs - agoSeconds * 1000;
  }
  // Date.parse alone takes much that is not ISO 8601, such as "5".
  if (!/^\d{4}-\d{2}-\d{2}/.test(value)) return null;
  const time = Date.parse(value);
  return Number.isNaN(time) ? null : time;
}

/** Whole seconds, with or without a unit. */
function parseDurationSeconds(value: string): number | null {
  const [, number, unit] = /^(\d+)([smhd]?)$/.exec(value) ?? [];
  if (number === undefined) return null;
  return Number(number) * (UNIT_SECONDS[unit ?? ""] ?? 1);
}

function usualStep(rangeSeconds: number): number {
  const wanted = rangeSeconds / USUAL_POINTS;
  return ROUND_STEPS_SECONDS.find((step) => step >= wanted) ?? Math.ceil(wanted / 86_400) * 86_400;
}

function iso(timeMs: number): string {
  const date = new Date(timeMs);
  return Number.isNaN(date.getTime()) ? `${timeMs}` : date.toISOString();
}
