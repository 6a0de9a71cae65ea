/**
 * Takes a telemetry flush from an edge: adds the CPU estimates, which only the hub can make because the
 * clock of each process reaches it through the supervisor, and stores each function's batch in its
 * FunctionMetrics object.
 */
import type { FunctionMetrics } from "../dispatcher/function-metrics.ts";
import type { CpuClock } from "../protocol/hub.ts";
import type { MetricsDelta, TelemetryFlush, TelemetryResult } from "../protocol/telemetry.ts";
import type { Observation } from "../registry/clean-runs.ts";
import type { CpuShare, CpuUse } from "./cpu-share.ts";
import { observationsOf } from "./observations.ts";
import type { SettledVersions } from "./settled-versions.ts";

export interface TelemetryDeps {
  /** The supervisor's interface, for `GET /cpu`. */
  readonly supervisor: Pick<Fetcher, "fetch">;
  readonly functionMetrics: DurableObjectNamespace<FunctionMetrics>;
  /** null: there is no namespace of that name (any more). */
  readonly resolveNamespaceId: (name: string) => Promise<string | null>;
  /** One per hub process; it learns over all flushes. */
  readonly cpu: CpuShare;
  /** One per hub process: versions that need no watching. */
  readonly settled: SettledVersions;
  /** Returns the versions that need no watching from now on. */
  readonly observe: (observations: readonly Observation[]) => Promise<readonly string[]>;
}

/** Reading a process's clock takes well under a millisecond; records do not wait longer for it. */
const CLOCK_WAIT_MS = 1_000;
/**
 * A store that took longer than this has created its function's database, or met a busy hub. All objects
 * share one thread, and edges that wait for a bundle go first: the next store waits for as long as
 * REST_FACTOR such stores take.
 */
const QUICK_STORE_MS = 2;
const REST_FACTOR = 3;

/**
 * Resolves once everything is stored that can be. The edge sends again what the result calls failed: one
 * broken object must not hold back the metrics of all other functions. Functions of unknown namespaces
 * are dropped. Rejects if the namespaces cannot be resolved; what is sent again counts once.
 */
export async function ingestTelemetry(
  flush: TelemetryFlush,
  edgeIndex: number,
  deps: TelemetryDeps,
): Promise<TelemetryResult> {
  const clock = await readClock(edgeIndex, deps.supervisor);
  await watchConduct(flush, deps);
  const { functions } = clock === null ? flush : withCpu(flush, edgeIndex, clock, deps.cpu);
  const namespaceIds = await resolveAll(new Set(functions.map(({ namespace }) => namespace)), deps);

  const failed: string[] = [];
  for (const { namespace, script, batch } of functions) {
    const id = namespaceIds.get(namespace);
    if (id === undefined) continue;
    const startedMs = Date.now();
    try {
      await deps.functionMetrics.getByName(`${id}/${script}`).record(batch);
    } catch (error) {
      console.error(`the metrics of ${namespace}/${script} could not be stored:`, error);
      failed.push(`${namespace}/${script}`);
    }
    const tookMs = Date.now() - startedMs;
    if (tookMs > QUICK_STORE_MS) await scheduler.wait(REST_FACTOR * tookMs);
  }
  return { failed };
}

/** Tells the Registry what became of invocations of versions that have yet to earn trust. */
async function watchConduct(
  flush: TelemetryFlush,
  { settled, observe }: TelemetryDeps,
): Promise<void> {
  const observations = observationsOf(flush, settled);
  if (observations.length === 0) return;
  const learn = settled.learn();
  try {
    learn(await observe(observations));
  } catch (error) {
    // Metrics are worth more than a run of clean invocations that starts later.
    console.error("conduct not recorded:", error);
  }
}

/** null if the supervisor cannot tell: metrics then go without CPU rather than wait. */
async function readClock(
  edgeIndex: number,
  supervisor: TelemetryDeps["supervisor"],
): Promise<CpuClock | null> {
  try {
    const response = await supervisor.fetch(`http://supervisor/cpu?edge=${edgeIndex}`, {
      signal: AbortSignal.timeout(CLOCK_WAIT_MS),
    });
    if (response.ok) return await response.json<CpuClock>();
    await response.body?.cancel();
    return null;
  } catch {
    // The supervisor is gone, stuck or being replaced. Metrics without CPU are better than none.
    return null;
  }
}

function withCpu(
  flush: TelemetryFlush,
  edgeIndex: number,
  clock: CpuClock,
  cpu: CpuShare,
): TelemetryFlush {
  const uses = flush.functions.flatMap(({ namespace, script, batch }) =>
    batch.deltas.map((delta) => cpuUse(`${namespace}/${script}`, delta)),
  );
  const estimates = cpu.share(edgeIndex, clock, Date.now(), uses);
  if (estimates === null) return flush;
  let next = 0;
  return {
    functions: flush.functions.map(({ batch, ...target }) => ({
      ...target,
      batch: {
        ...batch,
        deltas: batch.deltas.map((delta) => ({ ...delta, cpu: estimates[next++] })),
      },
    })),
  };
}

function cpuUse(key: string, { versionId, wall, phases }: MetricsDelta): CpuUse {
  return { key, versionId, wall, loadMs: phases.load?.sum ?? 0 };
}

async function resolveAll(
  names: ReadonlySet<string>,
  { resolveNamespaceId }: TelemetryDeps,
): Promise<Map<string, string>> {
  const ids = new Map<string, string>();
  const resolve = async (name: string) => {
    const id = await resolveNamespaceId(name);
    if (id !== null) ids.set(name, id);
  };
  await Promise.all([...names].map(resolve));
  return ids;
}
