/** Batches for tests. */
import type { Invocation, MetricsBatch } from "../../protocol/telemetry.ts";
import { Aggregate } from "../aggregate.ts";

export const COLD = { place: 1, fetch: 2, load: 8, first: 3 };

/** The invocations of one version and kind in one minute, as a batch. */
export function batchOf(
  source: string,
  sequence: number,
  minute: number,
  invocations: readonly Partial<Invocation>[],
): MetricsBatch {
  const aggregate = new Aggregate();
  const versionId = invocations[0]?.versionId ?? "v1";
  const kind = invocations[0]?.kind ?? "fetch";
  for (const invocation of invocations) {
    const usual = {
      versionId,
      kind,
      isRetry: false,
      outcome: "ok",
      status: 200,
      wallMs: 5,
    } as const;
    aggregate.add({ ...usual, ...invocation });
  }
  return { source, sequence, deltas: [{ minute, versionId, kind, ...aggregate.toData() }] };
}
