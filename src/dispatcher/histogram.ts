/**
 * A sketch of non-negative values, in milliseconds, with buckets that grow by a constant factor. Two
 * sketches merge by adding their buckets, so quantiles over any set of minutes, edges and versions are
 * as good as over one. Count, sum and mean are exact.
 */
import type { HistogramData } from "../protocol/telemetry.ts";

/** Largest relative error of a quantile. */
export const RELATIVE_ERROR = 0.01;

/**
 * Bucket i holds (GAMMA^(i-1), GAMMA^i] and is reported as m = 2 * GAMMA^i / (GAMMA + 1). The error is
 * largest at the two ends and equal there: GAMMA^i / m - 1 to one side and 1 - GAMMA^(i-1) / m to the other, relative to
 * the true value both come to (GAMMA - 1) / (GAMMA + 1). Solved for GAMMA:
 */
export const GAMMA = (1 + RELATIVE_ERROR) / (1 - RELATIVE_ERROR);

const INVERSE_LOG_GAMMA = 1 / Math.log(GAMMA);

/** One microsecond. Smaller values count as zero: the clock's step is a thousand times larger. */
const SMALLEST = 1e-3;
/** About 11 days. Larger values count as this one. */
const LARGEST = 1e9;

/** Storage grows by this many buckets (a factor of 1.9 in value), so that growing is rare. */
const GROWTH = 32;

/** What bucket `index` is reported as. */
export function bucketValue(index: number): number {
  return (2 * GAMMA ** index) / (GAMMA + 1);
}

/** Values in bucket `index` are larger than this. */
export function bucketLowerBound(index: number): number {
  return GAMMA ** (index - 1);
}

export class Histogram {
  #count = 0;
  #sum = 0;
  #zero = 0;
  /** Bucket counts of the indexes from `#first` on. Doubles: merged counts may exceed 32 bits. */
  #counts = new Float64Array(0);
  #first = 0;

  static from(data: HistogramData): Histogram {
    const histogram = new Histogram();
    histogram.merge(data);
    return histogram;
  }

  get count(): number {
    return this.#count;
  }

  get sum(): number {
    return this.#sum;
  }

  /** 0 if there is no value. */
  get mean(): number {
    return this.#count === 0 ? 0 : this.#sum / this.#count;
  }

  /** Adds `value`, `times` over. Allocates only when the value is outside the range seen so far. */
  add(value: number, times = 1): void {
    this.#count += times;
    // Written so that NaN and negative values (a clock that was set back) count as zero.
    if (!(value >= SMALLEST)) {
      this.#zero += times;
      return;
    }
    const bounded = value < LARGEST ? value : LARGEST;
    this.#sum += bounded * times;
    this.#increase(Math.ceil(Math.log(bounded) * INVERSE_LOG_GAMMA), times);
  }

  merge(data: HistogramData): void {
    this.#count += data.count;
    this.#sum += data.sum;
    this.#zero += data.zero;
    for (const [index, count] of data.buckets) this.#increase(index, count);
  }

  /** Forgets the values and keeps the storage. */
  clear(): void {
    this.#count = 0;
    this.#sum = 0;
    this.#zero = 0;
    this.#counts.fill(0);
  }

  toData(): HistogramData {
    const buckets: [number, number][] = [];
    for (const [offset, count] of this.#counts.entries()) {
      if (count !== 0) buckets.push([this.#first + offset, count]);
    }
    return { count: this.#count, sum: this.#sum, zero: this.#zero, buckets };
  }

  /**
   * The value of rank `q * (count - 1)`, rounded down to a whole rank, among the sorted values; within
   * RELATIVE_ERROR. `null` if there is no value.
   */
  quantile(q: number): number | null {
    if (this.#count === 0) return null;
    const rank = q * (this.#count - 1);
    let seen = this.#zero;
    if (seen > rank) return 0;
    for (const [offset, count] of this.#counts.entries()) {
      seen += count;
      if (seen > rank) return bucketValue(this.#first + offset);
    }
    throw new Error(`histogram counts ${this.#count} values but its buckets hold ${seen}`);
  }

  #increase(index: number, times: number): void {
    let offset = index - this.#first;
    if (offset < 0 || offset >= this.#counts.length) {
      this.#grow(index);
      offset = index - this.#first;
    }
    this.#counts[offset] = (this.#counts[offset] as number) + times;
  }

  #grow(index: number): void {
    const low = Math.floor(index / GROWTH) * GROWTH;
    const empty = this.#counts.length === 0;
    const first = empty ? low : Math.min(low, this.#first);
    const end = empty ? low + GROWTH : Math.max(low + GROWTH, this.#first + this.#counts.length);
    const grown = new Float64Array(end - first);
    if (!empty) grown.set(this.#counts, this.#first - first);
    this.#counts = grown;
    this.#first = first;
  }
}
