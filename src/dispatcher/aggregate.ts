/**
 * Counters and histograms of a set of invocations: one function, version and kind in one minute while it is
 * recorded, one row while it is stored, a point or a summary while it is read.
 */
import {
  COLD_PHASES,
  OUTCOMES,
  STATUS_CLASSES,
  type ColdPhase,
  type HistogramData,
  type Invocation,
  type MetricsDelta,
  type Outcome,
  type StatusClass,
} from "../protocol/telemetry.ts";
import { Histogram } from "./histogram.ts";

/** A delta without the place where it belongs. */
export type AggregateData = Omit<MetricsDelta, "minute" | "versionId" | "kind">;

const UNKNOWN_OUTCOME = OUTCOMES.indexOf("unknown");
const NO_STATUS = STATUS_CLASSES.indexOf("none");

const outcomeIndex = new Map<string, number>(OUTCOMES.map((name, index) => [name, index]));
const statusIndex = new Map<string, number>(STATUS_CLASSES.map((name, index) => [name, index]));

export class Aggregate {
  requestBytes = 0;
  responseBytes = 0;
  coldStarts = 0;
  retries = 0;
  readonly wall = new Histogram();
  cpu: Histogram | null = null;
  readonly phases = new Map<ColdPhase, Histogram>();
  readonly #outcomes = new Float64Array(OUTCOMES.length);
  readonly #statuses = new Float64Array(STATUS_CLASSES.length);

  get requests(): number {
    return this.wall.count;
  }

  /** Bytes arrive by themselves: a body ends after its response was counted. */
  get isEmpty(): boolean {
    return this.requests === 0 && this.requestBytes === 0 && this.responseBytes === 0;
  }

  outcomes(): Partial<Record<Outcome, number>> {
    return named(OUTCOMES, this.#outcomes);
  }

  statuses(): Partial<Record<StatusClass, number>> {
    return named(STATUS_CLASSES, this.#statuses);
  }

  /** Hot path: allocates nothing for a warm invocation. Bytes are added by the caller, when known. */
  add(invocation: Invocation): void {
    increase(this.#outcomes, outcomeIndex.get(invocation.outcome) ?? UNKNOWN_OUTCOME, 1);
    const group = Math.floor(invocation.status / 100) - 1;
    increase(this.#statuses, group >= 0 && group < NO_STATUS ? group : NO_STATUS, 1);
    if (invocation.isRetry) this.retries += 1;
    this.wall.add(invocation.wallMs);
    const { cold } = invocation;
    if (cold === undefined) return;
    this.coldStarts += 1;
    for (const phase of COLD_PHASES) this.#phase(phase).add(cold[phase]);
  }

  merge(data: AggregateData): void {
    for (const [name, count] of Object.entries(data.outcomes)) {
      increase(this.#outcomes, outcomeIndex.get(name) ?? UNKNOWN_OUTCOME, count);
    }
    for (const [name, count] of Object.entries(data.statuses)) {
      increase(this.#statuses, statusIndex.get(name) ?? NO_STATUS, count);
    }
    this.requestBytes += data.requestBytes;
    this.responseBytes += data.responseBytes;
    this.coldStarts += data.coldStarts;
    this.retries += data.retries;
    this.wall.merge(data.wall);
    if (data.cpu !== undefined) (this.cpu ??= new Histogram()).merge(data.cpu);
    for (const phase of COLD_PHASES) {
      const histogram = data.phases[phase];
      if (histogram !== undefined) this.#phase(phase).merge(histogram);
    }
  }

  /** Forgets the values and keeps the storage. */
  clear(): void {
    this.requestBytes = 0;
    this.responseBytes = 0;
    this.coldStarts = 0;
    this.retries = 0;
    this.wall.clear();
    this.cpu = null;
    this.phases.clear();
    this.#outcomes.fill(0);
    this.#statuses.fill(0);
  }

  toData(): AggregateData {
    const phases: Partial<Record<ColdPhase, HistogramData>> = {};
    for (const [phase, histogram] of this.phases) phases[phase] = histogram.toData();
    return {
      outcomes: this.outcomes(),
      statuses: this.statuses(),
      requestBytes: this.requestBytes,
      responseBytes: this.responseBytes,
      wall: this.wall.toData(),
      ...(this.cpu === null ? {} : { cpu: this.cpu.toData() }),
      coldStarts: this.coldStarts,
      retries: this.retries,
      phases,
    };
  }

  #phase(phase: ColdPhase): Histogram {
    let histogram = this.phases.get(phase);
    if (histogram === undefined) this.phases.set(phase, (histogram = new Histogram()));
    return histogram;
  }
}

function increase(counts: Float64Array, index: number, by: number): void {
  counts[index] = (counts[index] as number) + by;
}

/** Counts that are zero are left out. */
function named<Name extends string>(
  names: readonly Name[],
  counts: Float64Array,
): Partial<Record<Name, number>> {
  const result: Partial<Record<Name, number>> = {};
  for (const [index, name] of names.entries()) {
    const count = counts[index] as number;
    if (count !== 0) result[name] = count;
  }
  return result;
}
