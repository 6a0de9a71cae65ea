/** Turns aggregates into what is shown: counts, rates of error, quantiles. */
import type {
  Distribution,
  MetricsSeries,
  MetricsSummary,
  SeriesQuery,
  VersionTotals,
} from "../protocol/metrics-report.ts";
import type { ColdPhase, InvocationKind } from "../protocol/telemetry.ts";
import { Aggregate } from "./aggregate.ts";
import type { Histogram } from "./histogram.ts";
import { planSeries } from "./metrics-cover.ts";
import { MINUTE, startOf } from "./metrics-schema.ts";
import type { MetricsStore } from "./metrics-store.ts";

export function readSeries(
  store: Pick<MetricsStore, "rows">,
  query: SeriesQuery,
  nowMs: number,
): MetricsSeries {
  const { sinceMs, untilMs, stepMs, coarsest } = planSeries(query, nowMs);
  const all = new Aggregate();
  const steps = new Map<number, Aggregate>();
  const versions = new Map<string, Aggregate>();
  const kinds = new Map<InvocationKind, Aggregate>();
  for (const row of store.rows(sinceMs, untilMs, coarsest)) {
    row.addTo(all);
    row.addTo(entry(kinds, row.kind));
    row.addTo(entry(versions, row.versionId));
    if (stepMs !== null) row.addTo(entry(steps, startOf(row.startMs, stepMs)));
  }
  return {
    sinceMs,
    untilMs,
    stepSeconds: stepMs === null ? null : stepMs / 1000,
    points: [...steps]
      .sort(([a], [b]) => a - b)
      .map(([startMs, aggregate]) => ({ startMs, ...summarize(aggregate) })),
    summary: summarize(all),
    versions: [...versions]
      .sort(([, a], [, b]) => b.requests - a.requests)
      .map(([versionId, aggregate]) => ({ versionId, ...summarize(aggregate) })),
    kinds: [...kinds]
      .sort(([, a], [, b]) => b.requests - a.requests)
      .map(([kind, aggregate]) => ({ kind, ...summarize(aggregate) })),
  };
}

export function readVersions(
  store: Pick<MetricsStore, "rows">,
  sinceMs: number,
  untilMs: number,
): VersionTotals[] {
  const versions = new Map<string, Aggregate>();
  for (const row of store.rows(sinceMs, untilMs, MINUTE)) {
    row.addTo(entry(versions, row.versionId));
  }
  return [...versions].map(([versionId, aggregate]) => ({ versionId, totals: aggregate.toData() }));
}

export function summarize(aggregate: Aggregate): MetricsSummary {
  const outcomes = aggregate.outcomes();
  const phasesMs: Partial<Record<ColdPhase, Distribution>> = {};
  for (const [phase, histogram] of aggregate.phases) {
    const distribution = describe(histogram);
    if (distribution !== null) phasesMs[phase] = distribution;
  }
  return {
    requests: aggregate.requests,
    errors: aggregate.requests - (outcomes.ok ?? 0) - (outcomes.canceled ?? 0),
    outcomes,
    statuses: aggregate.statuses(),
    requestBytes: aggregate.requestBytes,
    responseBytes: aggregate.responseBytes,
    wallMs: describe(aggregate.wall),
    cpuMs: describe(aggregate.cpu),
    coldStarts: aggregate.coldStarts,
    retries: aggregate.retries,
    phasesMs,
  };
}

function describe(histogram: Histogram | null): Distribution | null {
  if (histogram === null || histogram.count === 0) return null;
  const at = (q: number) => histogram.quantile(q) as number;
  return {
    count: histogram.count,
    mean: histogram.mean,
    p50: at(0.5),
    p90: at(0.9),
    p99: at(0.99),
  };
}

function entry<Key>(map: Map<Key, Aggregate>, key: Key): Aggregate {
  let aggregate = map.get(key);
  if (aggregate === undefined) map.set(key, (aggregate = new Aggregate()));
  return aggregate;
}
