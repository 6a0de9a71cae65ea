/** Reading the logs that are kept of a function: `GET …/scripts/{script}/logs`. */
import type { TraceEvent } from "./trace.ts";

export interface LogQuery {
  /** Unix time in milliseconds, of when the invocation began; `untilMs` is not part of it. */
  readonly sinceMs: number;
  readonly untilMs: number;
  /** Part of what was logged or thrown, or of the URL; upper or lower case. */
  readonly grep?: string;
  readonly outcomes?: readonly string[];
  readonly version?: string;
  readonly limit: number;
  /** Where the page before ended. */
  readonly cursor?: LogCursor;
}

export interface LogCursor {
  readonly at: number;
  readonly id: number;
}

export interface StoredEvent {
  /** Grows with every event of the function. */
  readonly id: number;
  readonly event: TraceEvent;
}

/** Newest first. `cursor` null: there are no more. */
export interface LogPage {
  readonly events: readonly StoredEvent[];
  readonly cursor: LogCursor | null;
}
