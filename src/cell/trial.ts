/**
 * Tries whether a version starts, away from the isolates that serve: its top-level code may throw,
 * spin or eat memory. Who asks must time out, and replace this process if it does not answer.
 */
import type { Bundle } from "../protocol/bundle.ts";
import type { TrialResult } from "../protocol/hub.ts";
import { evict, ready } from "./control.ts";
import { toWorkerCode } from "./worker-code.ts";

/** What the loader puts before the tenant's own error text. */
const START_FAILURE = /^Failed to start Worker:\n?/;

export async function tryStart(bundle: Bundle, loader: WorkerLoader): Promise<TrialResult> {
  const started = Date.now();
  try {
    // A fresh name, since the loader remembers a version that failed for as long as it lives.
    const worker = loader.get(crypto.randomUUID(), () => toWorkerCode(bundle, null));
    const offered = await ready(worker);
    const startupTimeMs = Date.now() - started;
    await evict(worker);
    return { ok: true, startupTimeMs, ...offered };
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    return { ok: false, message: message.replace(START_FAILURE, "").trim() };
  }
}
