/**
 * Tells when a function whose home is another edge is called often enough here to be worth an isolate of
 * its own: the hop costs several times the CPU of the call itself, an isolate about 2 MB of memory.
 */

const WINDOW_MS = 1_000;
const HOT_CALLS_PER_WINDOW = 10;

/** Counters beyond this many are forgotten all at once; a hot function is counted again in a second. */
const MAX_COUNTED = 10_000;

export class Warmth {
  readonly #calls = new Map<string, { windowStartMs: number; count: number }>();

  /** Counts one call; true once the version had enough of them within the window. */
  isHot(versionId: string, nowMs: number): boolean {
    const calls = this.#calls.get(versionId);
    if (calls === undefined || nowMs - calls.windowStartMs >= WINDOW_MS) {
      if (this.#calls.size >= MAX_COUNTED) this.#calls.clear();
      this.#calls.set(versionId, { windowStartMs: nowMs, count: 1 });
      return false;
    }
    calls.count++;
    return calls.count >= HOT_CALLS_PER_WINDOW;
  }
}
