/**
 * How long an isolate stays loaded after a call: the contract, and the two policies without a memory of past
 * calls. The one that learns is keep-alive-hybrid.ts. Pure: no clock, no timer, no loader; the caller tells what
 * time it is and acts on the answers at intervals (Isolates.sweep).
 */

export interface KeepAlive {
  /** A call of the version began. On the way of every request. */
  called(versionId: string, nowMs: number): void;

  /**
   * How long the version may stay loaded, as things stand at `nowMs`; counted from its latest call, not from
   * when it was loaded. Short while the next call is far away, longer when it is near: so ask again before an
   * isolate ends. Infinity: until the budget needs its place. Ending an isolate later than this is only waste.
   */
  keepAliveMs(versionId: string, nowMs: number): number;

  /**
   * When to load the version in expectation of its next call; a time in the past means now. To be asked when an
   * isolate ended because it was idle. null: wait for the call.
   */
  prewarmAtMs?(versionId: string, nowMs: number): number | null;

  /** The version gets no calls any more. */
  forget(versionId: string): void;
}

export const FIXED_KEEP_ALIVE_MS = 10 * 60_000;

/** What most platforms do: every isolate stays for the same time. */
export class FixedKeepAlive implements KeepAlive {
  readonly #keepAliveMs: number;

  constructor(keepAliveMs = FIXED_KEEP_ALIVE_MS) {
    this.#keepAliveMs = keepAliveMs;
  }

  called(): void {}

  keepAliveMs(): number {
    return this.#keepAliveMs;
  }

  forget(): void {}
}

/** Isolates stay until the budget needs their place; the least recently used go first. */
export class LruKeepAlive implements KeepAlive {
  called(): void {}

  keepAliveMs(): number {
    return Infinity;
  }

  forget(): void {}
}
