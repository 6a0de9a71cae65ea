/**
 * Ends what takes longer than it may. A timer per request would cost 5% of a warm request's CPU time, so one
 * request at a time keeps watch for all: its context stays open for that, and every now and then another takes
 * over. A deadline is kept to within WATCH_INTERVAL_MS. Where contexts cannot be kept open, each request has a
 * timer of its own.
 */
const WATCH_INTERVAL_MS = 50;

/** So long a request keeps watch before the next that begins takes over. */
const WATCH_MS = 1_000;

/** Keeps the context of the current request open until the task is done, as `waitUntil` does. */
export type Background = (task: Promise<unknown>) => void;

export interface Started {
  readonly deadlineMs: number;
  /** Called once, in the context of any request, if it is not deleted by its deadline. */
  expire(): void;
}

export class Deadlines {
  readonly #background: Background | undefined;
  readonly #started = new Set<Started>();
  /** No deadline is before this. */
  #earliestMs = Infinity;
  #watches = 0;
  /** From then on a request that begins takes over the watch. */
  #watchedUntilMs = 0;

  constructor(background: Background | undefined) {
    this.#background = background;
  }

  add(started: Started, nowMs: number): void {
    this.#started.add(started);
    if (this.#background === undefined) {
      setTimeout(() => this.#expireOne(started), started.deadlineMs - nowMs);
      return;
    }
    if (started.deadlineMs < this.#earliestMs) this.#earliestMs = started.deadlineMs;
    if (nowMs < this.#watchedUntilMs) return;
    this.#watchedUntilMs = nowMs + WATCH_MS;
    this.#background(this.#watch(++this.#watches));
  }

  /** False: it has expired before. */
  delete(started: Started): boolean {
    return this.#started.delete(started);
  }

  async #watch(watch: number): Promise<void> {
    while (watch === this.#watches) {
      const untilEarliest = this.#earliestMs - Date.now();
      await scheduler.wait(Math.min(Math.max(untilEarliest, 1), WATCH_INTERVAL_MS));
      this.#expire(Date.now());
      if (this.#started.size === 0) break;
    }
    if (watch === this.#watches) this.#watchedUntilMs = 0;
  }

  #expire(nowMs: number): void {
    if (nowMs < this.#earliestMs) return;
    this.#earliestMs = Infinity;
    for (const started of this.#started) {
      if (nowMs >= started.deadlineMs) {
        this.#expireOne(started);
      } else if (started.deadlineMs < this.#earliestMs) {
        this.#earliestMs = started.deadlineMs;
      }
    }
  }

  #expireOne(started: Started): void {
    if (this.#started.delete(started)) started.expire();
  }
}
