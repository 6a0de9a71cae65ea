/** Reproducible randomness for tests: the same seed, the same numbers. */

/** Uniform in [0, 1): Numerical Recipes' linear congruential generator. */
export function createRandom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
}

/** Number of independent events where `mean` are expected (Knuth's method; for small means). */
export function poisson(random: () => number, mean: number): number {
  const limit = Math.exp(-mean);
  let events = 0;
  for (let product = random(); product > limit; product *= random()) events += 1;
  return events;
}
