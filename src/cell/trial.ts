/**
 * Tries whether a version starts, away from the isolates that serve: its top-level code may throw,
 * spin or eat memory. Who asks must time out, and replace this process if it does not answer.
 */
import type { Bundle } from "../protocol/bundle.ts";
import type { Bind } from "./bindings.ts";
import type { TrialResult } from "../protocol/hub.ts";
import { STARTUP_CPU_MS } from "../protocol/limits.ts";
import { ready } from "./control.ts";
import type { Ledger } from "./ledger.ts";
import { toWorkerCode } from "./worker-code.ts";

/** What the loader puts before the tenant's own error text. */
const START_FAILURE = /^Failed to start Worker:\n?/;

/** The operator's remedy, which is none here; the tenant's is to leave the flag out. */
const NEEDS_EXPERIMENTAL = /To use this flag, you must pass --experimental on the command line\./;

/** What a module offers is stored and listed with its script, and the module can make up what it likes. */
const MAX_NAMES = 100;
const MAX_NAME_CHARACTERS = 100;
const MAX_MESSAGE_CHARACTERS = 10_000;

export async function tryStart(
  bundle: Bundle,
  loader: WorkerLoader,
  ledger: Ledger,
  bind: Bind,
): Promise<TrialResult> {
  const started = Date.now();
  const entry = ledger.allocate(bundle.versionId);
  ledger.begin(entry, STARTUP_CPU_MS, started);
  try {
    // Loaded without a name: the runtime frees the isolate with this request.
    const offered = await ready(loader.load(toWorkerCode(bundle, null, false, bind)));
    const startupTimeMs = Date.now() - started;
    return {
      ok: true,
      startupTimeMs,
      handlers: bounded(offered.handlers),
      exports: bounded(offered.exports),
    };
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    return {
      ok: false,
      message: message
        .replace(START_FAILURE, "")
        .replace(NEEDS_EXPERIMENTAL, "This platform has no such flags: leave it out.")
        .slice(0, MAX_MESSAGE_CHARACTERS)
        .trim(),
    };
  } finally {
    ledger.end(entry);
    ledger.free(entry);
  }
}

function bounded(names: readonly string[]): string[] {
  return names
    .slice(0, MAX_NAMES)
    .filter((name) => typeof name === "string" && name.length <= MAX_NAME_CHARACTERS);
}
