/**
 * Renders lifetime counters in the Prometheus text format, version 0.0.4. Names and base units follow
 * the Prometheus conventions: seconds, bytes, `_total`.
 */
import { bucketLowerBound } from "../dispatcher/histogram.ts";
import type { KindTotals, MetricsTotals } from "../protocol/metrics-report.ts";
import { COLD_PHASES, type HistogramData } from "../protocol/telemetry.ts";

export const PROMETHEUS_CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8";

export interface FunctionTotals {
  readonly namespace: string;
  readonly script: string;
  readonly totals: readonly KindTotals[];
}

/** Upper bounds of the exposed buckets, in milliseconds: steps of 2 to 2.5 from the clock's step on. */
const BOUNDS_MS = [
  1, 2.5, 5, 10, 25, 50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000, 30_000, 60_000,
] as const;

export type Labels = Readonly<Record<string, string>>;
type Samples = (totals: MetricsTotals, labels: Labels) => Iterable<string>;

interface Family {
  readonly name: string;
  readonly type: "counter" | "histogram" | "summary";
  readonly help: string;
  readonly samples: Samples;
}

const FAMILIES: readonly Family[] = [
  {
    name: "skep_invocations_total",
    type: "counter",
    help: "Invocations that ended, by outcome.",
    *samples({ outcomes }, labels) {
      for (const [outcome, count] of Object.entries(outcomes)) {
        yield sample(this.name, { ...labels, outcome }, count);
      }
    },
  },
  {
    name: "skep_responses_total",
    type: "counter",
    help: "Invocations that ended, by class of the HTTP status; none: without a response.",
    *samples({ statuses }, labels) {
      for (const [status, count] of Object.entries(statuses)) {
        yield sample(this.name, { ...labels, status }, count);
      }
    },
  },
  {
    name: "skep_request_bytes_total",
    type: "counter",
    help: "Bytes of request bodies.",
    *samples({ requestBytes }, labels) {
      yield sample(this.name, labels, requestBytes);
    },
  },
  {
    name: "skep_response_bytes_total",
    type: "counter",
    help: "Bytes of response bodies.",
    *samples({ responseBytes }, labels) {
      yield sample(this.name, labels, responseBytes);
    },
  },
  {
    name: "skep_invocation_wall_seconds",
    type: "histogram",
    help: "Wall time of invocations.",
    *samples({ wall }, labels) {
      yield* histogram(this.name, labels, wall);
    },
  },
  {
    name: "skep_invocation_cpu_seconds",
    type: "histogram",
    help: "CPU time of invocations, estimated.",
    *samples({ cpu }, labels) {
      if (cpu !== undefined) yield* histogram(this.name, labels, cpu);
    },
  },
  {
    name: "skep_retries_total",
    type: "counter",
    help: "Invocations for an event that the function was given before.",
    *samples({ retries }, labels) {
      if (retries > 0) yield sample(this.name, labels, retries);
    },
  },
  {
    name: "skep_cold_starts_total",
    type: "counter",
    help: "Invocations that had to load their isolate.",
    *samples({ coldStarts }, labels) {
      yield sample(this.name, labels, coldStarts);
    },
  },
  {
    name: "skep_cold_start_phase_seconds",
    type: "histogram",
    help: "Duration of the phases of cold starts.",
    *samples({ phases }, labels) {
      for (const phase of COLD_PHASES) {
        const data = phases[phase];
        if (data !== undefined) yield* histogram(this.name, { ...labels, phase }, data);
      }
    },
  },
];

export function renderPrometheus(functions: readonly FunctionTotals[]): string {
  const lines: string[] = [];
  for (const family of FAMILIES) {
    lines.push(`# HELP ${family.name} ${family.help}`, `# TYPE ${family.name} ${family.type}`);
    for (const { namespace, script, totals } of functions) {
      for (const { kind, totals: ofKind } of totals) {
        lines.push(...family.samples(ofKind, { namespace, script, kind }));
      }
    }
  }
  return `${lines.join("\n")}\n`;
}

/**
 * Cumulative buckets. A bucket of the sketch that a bound falls into is counted below it: values are
 * whole milliseconds mostly, and a value that equals the bound belongs there.
 */
function* histogram(name: string, labels: Labels, data: HistogramData): Iterable<string> {
  for (const boundMs of BOUNDS_MS) {
    let count = data.zero;
    for (const [index, inBucket] of data.buckets) {
      if (bucketLowerBound(index) < boundMs) count += inBucket;
    }
    yield sample(`${name}_bucket`, { ...labels, le: String(boundMs / 1000) }, count);
  }
  yield sample(`${name}_bucket`, { ...labels, le: "+Inf" }, data.count);
  yield sample(`${name}_sum`, labels, data.sum / 1000);
  yield sample(`${name}_count`, labels, data.count);
}

export function sample(name: string, labels: Labels, value: number): string {
  const pairs = Object.entries(labels).map(([label, text]) => `${label}="${escapeLabel(text)}"`);
  return `${name}{${pairs.join(",")}} ${value}`;
}

function escapeLabel(text: string): string {
  return text.replaceAll("\\", "\\\\").replaceAll('"', '\\"').replaceAll("\n", "\\n");
}
