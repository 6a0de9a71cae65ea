/**
 * Tries whether a version starts, away from the isolates that serve: its top-level code may throw,
 * spin or eat memory. Who asks must time out, and replace this process if it does not answer.
 */
import type { Bundle } from "../protocol/bundle.ts";
import type { TrialResult } from "../protocol/hub.ts";
import { ready } from "./control.ts";
import { toWorkerCode } from "./worker-code.ts";

/** What the loader puts before the tenant's own error text. */
const START_FAILURE = /^Failed to start Worker:\n?/;

export async function tryStart(bundle: Bundle, loader: WorkerLoader): Promise<TrialResult> {
  const started = Date.now();
  try {
    // Loaded without a name: the runtime frees the isolate with this request.
    const offered = await ready(loader.load(toWorkerCode(bundle, null)));
    const startupTimeMs = Date.now() - started;
    return { ok: true, startupTimeMs, ...offered };
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    return { ok: false, message: message.replace(START_FAILURE, "").trim() };
  }
}
