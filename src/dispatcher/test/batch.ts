/** Batches for tests. */
import type { Invocation, MetricsBatch } from "../../protocol/telemetry.ts";
import { Aggregate } from "../aggregate.ts";

export const COLD = { place: 1, fetch: 2, load: 8, first: 3 };

/** The invocations of one version in one minute, as a batch. */
export function batchOf(
  source: string,
  sequence: number,
  minute: number,
  invocations: readonly Partial<Invocation>[],
): MetricsBatch {
  const aggregate = new Aggregate();
  const versionId = invocations[0]?.versionId ?? "v1";
  for (const invocation of invocations) {
    aggregate.add({ versionId, outcome: "ok", status: 200, wallMs: 5, ...invocation });
  }
  return { source, sequence, deltas: [{ minute, versionId, ...aggregate.toData() }] };
}
