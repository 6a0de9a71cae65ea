// Statistics on raw samples. Nothing is binned before it is reported.

/** The smallest sample that at least `q` (0 to 1) of the samples do not exceed. */
export function quantile(samples: readonly number[], q: number): number {
  const sorted = samples.toSorted((a, b) => a - b);
  const value = sorted[Math.max(0, Math.ceil(sorted.length * q) - 1)];
  if (value === undefined) throw new RangeError("there are no samples");
  return value;
}

export function median(samples: readonly number[]): number {
  return quantile(samples, 0.5);
}

export function mean(samples: readonly number[]): number {
  if (samples.length === 0) throw new RangeError("there are no samples");
  return sum(samples) / samples.length;
}

export function sum(samples: readonly number[]): number {
  return samples.reduce((total, sample) => total + sample, 0);
}
