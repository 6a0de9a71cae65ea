/**
 * Metrics as they are read: what a FunctionMetrics object answers, the API returns and `skep stats`
 * renders. Times are Unix milliseconds, durations milliseconds; a quantile is within 1% of the true one.
 */
import type { Place } from "./placement.ts";
import type {
  ColdPhase,
  HistogramData,
  InvocationKind,
  Outcome,
  StatusClass,
} from "./telemetry.ts";

export interface Distribution {
  readonly count: number;
  readonly mean: number;
  readonly p50: number;
  readonly p90: number;
  readonly p99: number;
}

export interface MetricsSummary {
  readonly requests: number;
  /** Invocations whose outcome is neither `ok` nor `canceled`. A 5xx of the function is not one. */
  readonly errors: number;
  /** Outcomes and status classes that did not occur are left out. */
  readonly outcomes: Readonly<Partial<Record<Outcome, number>>>;
  readonly statuses: Readonly<Partial<Record<StatusClass, number>>>;
  readonly requestBytes: number;
  readonly responseBytes: number;
  /** null: no invocation. */
  readonly wallMs: Distribution | null;
  /** An estimate. null: no invocation has one. */
  readonly cpuMs: Distribution | null;
  readonly coldStarts: number;
  /** Invocations for an event that the function was given before. */
  readonly retries: number;
  /** Phases of the cold starts; empty if there was none. */
  readonly phasesMs: Readonly<Partial<Record<ColdPhase, Distribution>>>;
}

export interface MetricsPoint extends MetricsSummary {
  readonly startMs: number;
}

export interface VersionSummary extends MetricsSummary {
  readonly versionId: string;
}

export interface KindSummary extends MetricsSummary {
  readonly kind: InvocationKind;
}

export interface SeriesQuery {
  readonly sinceMs: number;
  readonly untilMs: number;
  /** Width of a point. null: summaries only. */
  readonly stepSeconds: number | null;
}

export interface MetricsSeries {
  /** The range that was read: the one asked for, widened to whole steps and whole stored rows. */
  readonly sinceMs: number;
  readonly untilMs: number;
  /** At least the one asked for; larger where only hours or days are kept. */
  readonly stepSeconds: number | null;
  /** In order of time. A step without invocations has no point. */
  readonly points: readonly MetricsPoint[];
  readonly summary: MetricsSummary;
  /** The version with the most requests first. */
  readonly versions: readonly VersionSummary[];
  /** What it was called for, the kind with the most invocations first. */
  readonly kinds: readonly KindSummary[];
}

/** Counters since the function's first invocation. They never shrink while the function exists. */
export interface MetricsTotals {
  readonly outcomes: Readonly<Partial<Record<Outcome, number>>>;
  readonly statuses: Readonly<Partial<Record<StatusClass, number>>>;
  readonly requestBytes: number;
  readonly responseBytes: number;
  readonly wall: HistogramData;
  readonly cpu?: HistogramData;
  readonly coldStarts: number;
  readonly retries: number;
  readonly phases: Readonly<Partial<Record<ColdPhase, HistogramData>>>;
}

export interface KindTotals {
  readonly kind: InvocationKind;
  readonly totals: MetricsTotals;
}

/** What one version did in a time range. */
export interface VersionTotals {
  readonly versionId: string;
  readonly totals: MetricsTotals;
}

/** One summary per function of a namespace, for `skep stats`. */
export interface NamespaceMetrics {
  readonly namespace: string;
  readonly sinceMs: number;
  readonly untilMs: number;
  readonly functions: readonly {
    readonly script: string;
    readonly place: Pick<Place, "kind" | "why">;
    readonly summary: MetricsSummary;
    readonly kinds: readonly KindSummary[];
  }[];
}
