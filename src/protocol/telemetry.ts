/**
 * Metrics on their way from an edge to the FunctionMetrics objects. An edge adds each invocation to an
 * aggregate per function and version, and flushes the aggregates out of the request path.
 */

/** The phases of a cold start, in order. Their histograms are in milliseconds. */
export const COLD_PHASES = ["place", "fetch", "load", "first"] as const;
export type ColdPhase = (typeof COLD_PHASES)[number];
/** Milliseconds per phase of one cold start. */
export type ColdStart = Readonly<Record<ColdPhase, number>>;

/** As in Cloudflare's trace events. */
export const OUTCOMES = [
  "ok",
  "exception",
  "exceededCpu",
  "exceededMemory",
  "exceededWallTime",
  // Refused by the platform: rate, concurrency, back-off, size, loop.
  "loadShed",
  "canceled",
  "unknown",
] as const;
export type Outcome = (typeof OUTCOMES)[number];

/** What a handler was called for. `invocation`: a request that was stored first (invocations.ts). */
export const INVOCATION_KINDS = [
  "fetch",
  "scheduled",
  "queue",
  "invocation",
  "alarm",
  "rpc",
  "tail",
] as const;
export type InvocationKind = (typeof INVOCATION_KINDS)[number];

/** `none`: no response head was produced. */
export const STATUS_CLASSES = ["1xx", "2xx", "3xx", "4xx", "5xx", "none"] as const;
export type StatusClass = (typeof STATUS_CLASSES)[number];

/** One ended invocation, as the dispatcher sees it. */
export interface Invocation {
  readonly versionId: string;
  readonly kind: InvocationKind;
  /** The same event was given to the function before. */
  readonly isRetry: boolean;
  readonly outcome: Outcome;
  /** HTTP status, 0 if there was none. */
  readonly status: number;
  /** Milliseconds until the response head. */
  readonly wallMs: number;
  /** Present if this invocation had to load its isolate. */
  readonly cold?: ColdStart | undefined;
}

/**
 * A sketch of non-negative values that merges by addition. Bucket `i` counts the values in
 * (GAMMA^(i-1), GAMMA^i]; `zero` counts those too small for a bucket.
 */
export interface HistogramData {
  readonly count: number;
  readonly sum: number;
  readonly zero: number;
  readonly buckets: readonly (readonly [index: number, count: number])[];
}

/** What one version of a function did within one minute, called for one thing. All counters are increments. */
export interface MetricsDelta {
  /** Start of the minute, Unix time in milliseconds. */
  readonly minute: number;
  readonly versionId: string;
  readonly kind: InvocationKind;
  readonly retries: number;
  readonly outcomes: Readonly<Partial<Record<Outcome, number>>>;
  readonly statuses: Readonly<Partial<Record<StatusClass, number>>>;
  readonly requestBytes: number;
  readonly responseBytes: number;
  readonly wall: HistogramData;
  /** Estimated CPU time of each invocation; absent where nothing can tell it. */
  readonly cpu?: HistogramData;
  readonly coldStarts: number;
  readonly phases: Readonly<Partial<Record<ColdPhase, HistogramData>>>;
}

/** Deltas of one function. `source` and `sequence` make a repeated delivery count once. */
export interface MetricsBatch {
  /** Unique per life of an edge process. */
  readonly source: string;
  /** Grows with every batch of one source for one function. */
  readonly sequence: number;
  readonly deltas: readonly MetricsDelta[];
}

/** Body of `POST /telemetry`, edge -> hub. */
export interface TelemetryFlush {
  readonly functions: readonly {
    readonly namespace: string;
    readonly script: string;
    readonly batch: MetricsBatch;
  }[];
}

/** What became of a flush. */
export interface TelemetryResult {
  /** `<namespace>/<script>` of each function whose batch was not stored and has to be sent again. */
  readonly failed: readonly string[];
}
