/** What becomes of an invocation that was tried. */
import type { EventResult } from "../../protocol/events.ts";
import {
  MAX_RETRY_DELAY_SECONDS,
  type InvocationSettings,
  type InvocationState,
} from "../../protocol/invocations.ts";
import type { InvocationRow } from "./invocation-rows.ts";

/** Between tries to reach a function; doubles up to the second. */
const MIN_WAIT_MS = 1_000;
const MAX_WAIT_MS = 60_000;

export interface Next {
  readonly state: Exclude<InvocationState, "running">;
  readonly attempts: number;
  readonly waits: number;
  /** null: it has ended. */
  readonly nextMs: number | null;
  readonly outcome: string | null;
  readonly error: string | null;
}

/** An answer below 500 is a success: whatever it says, saying it again would not help. */
export function nextTry(
  row: InvocationRow,
  settings: InvocationSettings,
  result: EventResult,
  nowMs: number,
): Next {
  const hasCounted = result.ran || result.mayHaveRun === true;
  const attempts = row.attempts + (hasCounted ? 1 : 0);
  const waits = row.waits + (hasCounted ? 0 : 1);
  const { outcome, error } = verdictOf(result);
  const tried = { attempts, waits, outcome, error };
  if (outcome === "ok") return { ...tried, state: "succeeded", nextMs: null };
  if (row.type === "RequestResponse" || attempts >= settings.maxAttempts) {
    return { ...tried, state: "failed", nextMs: null };
  }
  const nextMs = nowMs + waitOf(result, settings, attempts, waits);
  if (nextMs <= row.created_ms + settings.maxAgeSeconds * 1000) {
    return { ...tried, state: "waiting", nextMs };
  }
  const tooOld = `it would be older than ${settings.maxAgeSeconds} seconds at the next try; ${error ?? "it failed"}`;
  return { ...tried, error: tooOld, state: "failed", nextMs: null };
}

function verdictOf(result: EventResult) {
  if (!result.ran) return { outcome: result.mayHaveRun ? "unknown" : null, error: result.message };
  const { outcome, error = null, response } = result;
  if (outcome !== "ok" || response === undefined || response.status < 500) {
    return { outcome, error };
  }
  return { outcome: "exception", error: `the function answered with ${response.status}` };
}

function waitOf(
  result: EventResult,
  { retryDelaySeconds }: InvocationSettings,
  attempts: number,
  waits: number,
): number {
  if (result.ran) {
    return Math.min(retryDelaySeconds * 2 ** (attempts - 1), MAX_RETRY_DELAY_SECONDS) * 1000;
  }
  const backOffMs = Math.min(MIN_WAIT_MS * 2 ** waits, MAX_WAIT_MS);
  return Math.max(backOffMs, (result.retryAfterSeconds ?? 0) * 1000);
}
