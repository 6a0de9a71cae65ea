/**
 * One reader of a tail, at the end of a WebSocket. Sending never waits: what a reader has not taken yet is held up to
 * a bound, then events are dropped for this reader alone, who is told, and one that takes nothing at all is let go.
 */
import type { TraceEvent } from "../protocol/trace.ts";
import { passes, type TailFilter } from "./tail-filter.ts";

/** Characters that wait to be sent. From `MAX` on events are dropped, until it is down to `LOW`. */
const MAX_BUFFERED = 4 * 1024 * 1024;
const LOW_BUFFERED = 1024 * 1024;
const STALLED_MS = 30_000;
/** By which wrangler connects anew. */
const TRY_AGAIN = 1013;

export class TailReader {
  readonly id: string;
  readonly #socket: Pick<WebSocket, "send" | "close" | "bufferedAmount">;
  readonly #filters: readonly TailFilter[];
  #dropped = 0;
  #isOverloaded = false;
  #lastBuffered = 0;
  #movedMs: number;

  constructor(
    id: string,
    socket: Pick<WebSocket, "send" | "close" | "bufferedAmount">,
    filters: readonly TailFilter[],
    nowMs: number,
  ) {
    this.id = id;
    this.#socket = socket;
    this.#filters = filters;
    this.#movedMs = nowMs;
  }

  /** `texts`: JSON of the events. */
  take(
    events: readonly TraceEvent[],
    texts: readonly string[],
    dropped: number,
    nowMs: number,
  ): void {
    this.#watch(nowMs);
    if (dropped > 0) this.#tell("overload", `${dropped} events were lost on their way here.`);
    for (const [index, event] of events.entries()) {
      if (!passes(event, this.#filters)) continue;
      this.#write(texts[index] ?? "");
    }
  }

  /** False: it has taken nothing for too long. */
  isAlive(nowMs: number): boolean {
    this.#watch(nowMs);
    return this.#lastBuffered === 0 || nowMs - this.#movedMs < STALLED_MS;
  }

  close(code: number, reason: string): void {
    try {
      this.#socket.close(code, reason);
    } catch {
      // It is closed already.
    }
  }

  /** As one whose connection is of no use. */
  letGo(): void {
    this.close(TRY_AGAIN, "nothing was read for too long");
  }

  #write(text: string): void {
    const buffered = this.#socket.bufferedAmount;
    if (this.#isOverloaded && buffered <= LOW_BUFFERED) {
      this.#isOverloaded = false;
      const message = `${this.#dropped} events were dropped, since they were not read fast enough.`;
      this.#dropped = 0;
      this.#tell("overload-stop", message);
    } else if (!this.#isOverloaded && buffered > MAX_BUFFERED) {
      this.#isOverloaded = true;
      this.#tell("overload", "Events come faster than they are read here: some are dropped.");
    }
    if (this.#isOverloaded) this.#dropped++;
    else this.#send(text);
  }

  #tell(type: "overload" | "overload-stop", message: string): void {
    const event = { type, message };
    const eventTimestamp = Date.now();
    this.#send(
      JSON.stringify({ outcome: "unknown", logs: [], exceptions: [], eventTimestamp, event }),
    );
  }

  #send(text: string): void {
    try {
      this.#socket.send(text);
    } catch {
      // It is being closed, of which its owner hears.
    }
  }

  #watch(nowMs: number): void {
    const buffered = this.#socket.bufferedAmount;
    if (buffered < this.#lastBuffered || buffered === 0) this.#movedMs = nowMs;
    this.#lastBuffered = buffered;
  }
}
