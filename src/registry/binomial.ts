/** The one piece of statistics that rollouts rest on: how likely so many of so many are by chance. */

/**
 * The probability that at least `hits` of `count` independent trials succeed, each with probability `rate`.
 * Exact but for rounding. Takes a few hundred steps at most, whatever the counts are.
 */
export function atLeast(hits: number, count: number, rate: number): number {
  if (hits <= 0) return 1;
  if (hits > count || rate <= 0) return 0;
  // Below the mean the tail is more than about a half: of no interest to anyone who asks for certainty.
  if (rate >= 1 || hits <= count * rate) return 1;
  let term = Math.exp(
    logChoose(count, hits) + hits * Math.log(rate) + (count - hits) * Math.log1p(-rate),
  );
  let sum = 0;
  for (let k = hits; k <= count && term > sum * 1e-9; k++) {
    sum += term;
    term *= ((count - k) / (k + 1)) * (rate / (1 - rate));
  }
  return Math.min(1, sum);
}

function logChoose(n: number, k: number): number {
  return logFactorial(n) - logFactorial(k) - logFactorial(n - k);
}

/** Stirling's series, whose error is below 1e-9 from 10 on; smaller ones are multiplied. */
function logFactorial(n: number): number {
  if (n < 10) {
    let product = 1;
    for (let factor = 2; factor <= n; factor++) product *= factor;
    return Math.log(product);
  }
  const series = 1 / (12 * n) - 1 / (360 * n ** 3) + 1 / (1260 * n ** 5);
  return n * Math.log(n) - n + Math.log(2 * Math.PI * n) / 2 + series;
}
