/** How long to wait before the next process of a kind is started: not at all if the last one had worked. */
import type { WorkerdProcess } from "./workerd-process.ts";

/** A process that was ready for less than this counts as one that does not work. */
const STEADY_MS = 250;
const FIRST_PAUSE_MS = 50;
const LONGEST_PAUSE_MS = 2000;

export class RestartPause {
  #failures = 0;

  /** Milliseconds to wait after the end of `process`, which doubles with each that did not work. */
  after({ readyAt }: WorkerdProcess): number {
    const worked = readyAt !== undefined && performance.now() - readyAt >= STEADY_MS;
    if (worked) this.#failures = 0;
    return worked ? 0 : this.afterFailure();
  }

  /** The same for one that could not even be started. */
  afterFailure(): number {
    this.#failures++;
    if (this.#failures === 1) return 0;
    return Math.min(LONGEST_PAUSE_MS, FIRST_PAUSE_MS * 2 ** (this.#failures - 2));
  }
}

/** For log lines. */
export function startingNext(pauseMs: number): string {
  return `starting the next one${pauseMs > 0 ? ` in ${pauseMs} ms` : ""}`;
}
