/** What a flush of telemetry says for or against the versions that have yet to earn trust. */
import type { Outcome, TelemetryFlush } from "../protocol/telemetry.ts";
import type { Observation } from "../registry/clean-runs.ts";
import type { SettledVersions } from "./settled-versions.ts";

const CLEAN: ReadonlySet<Outcome> = new Set(["ok", "exception", "canceled"]);
const EXCEEDED: ReadonlySet<Outcome> = new Set([
  "exceededCpu",
  "exceededMemory",
  "exceededWallTime",
]);

/** One per version that is not settled; empty in the steady state. */
export function observationsOf(
  { functions }: TelemetryFlush,
  settled: Pick<SettledVersions, "has">,
): Observation[] {
  const found = new Map<string, Observation>();
  for (const { batch } of functions) {
    for (const { versionId, outcomes } of batch.deltas) {
      if (settled.has(versionId)) continue;
      let { clean, exceeded } = found.get(versionId) ?? { clean: 0, exceeded: false };
      for (const [outcome, count] of Object.entries(outcomes) as [Outcome, number][]) {
        if (CLEAN.has(outcome)) clean += count;
        if (EXCEEDED.has(outcome)) exceeded = true;
      }
      found.set(versionId, { versionId, clean, exceeded });
    }
  }
  return [...found.values()];
}
