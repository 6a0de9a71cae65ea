/** Runs of Cron Triggers, as the store tells the hub of them: `GET /script/{id}/runs?limit=` -> { runs, next }. */

export interface ScheduledRun {
  readonly id: number;
  readonly cron: string;
  /** For when it was due, which is what the function gets. */
  readonly scheduledMs: number;
  /** Of times that passed while nothing could run, the first; they count as this one run. null: none was missed. */
  readonly missedSinceMs: number | null;
  readonly state: "waiting" | "running" | "ended";
  /** It began more than a minute after it was due. */
  readonly isLate: boolean;
  /** Calls of the handler. */
  readonly attempts: number;
  readonly startedMs: number | null;
  readonly endedMs: number | null;
  /** As in trace events; null: it has not ended. */
  readonly outcome: string | null;
  readonly error: string | null;
}

export interface ScheduleReport {
  readonly runs: readonly ScheduledRun[];
  /** When each expression is due next. */
  readonly next: readonly { readonly cron: string; readonly atMs: number }[];
}
