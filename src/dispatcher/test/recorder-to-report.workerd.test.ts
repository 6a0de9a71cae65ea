/** The whole way of a metric: recorder, hub, FunctionMetrics, API and Prometheus. */
import { env } from "cloudflare:workers";
import { runInDurableObject } from "cloudflare:test";
import { describe, expect, it } from "vitest";
import { metricsReader, readNamespace, readPrometheus, readScript } from "../../api/metrics.ts";
import { CpuShare } from "../../hub/cpu-share.ts";
import { SettledVersions } from "../../hub/settled-versions.ts";
import { ingestTelemetry, type TelemetryDeps } from "../../hub/telemetry.ts";
import type { MetricsBatch, TelemetryFlush } from "../../protocol/telemetry.ts";
import type { FunctionMetrics } from "../function-metrics.ts";
import { Recorder, type MetricsSink } from "../recorder.ts";
import { COLD } from "./batch.ts";

const functionMetrics = (
  env as unknown as { FUNCTION_METRICS: DurableObjectNamespace<FunctionMetrics> }
).FUNCTION_METRICS;
const reader = metricsReader(functionMetrics);
const lastHour = () => ({
  sinceMs: Date.now() - 3_600_000,
  untilMs: Date.now() + 60_000,
  stepSeconds: null,
});

/** A supervisor whose edge has used `cpuMs`; null: it does not answer. */
function createDeps(id: string, cpuMs: { value: number | null }): TelemetryDeps {
  return {
    supervisor: {
      fetch: async (input) => {
        expect(input).toBe("http://supervisor/cpu?edge=3");
        if (cpuMs.value === null) throw new Error("connection refused");
        return Response.json({ life: 1, cpuMs: cpuMs.value });
      },
    },
    functionMetrics,
    resolveNamespaceId: async (name) => (name === "production" ? id : null),
    cpu: new CpuShare(),
    settled: new SettledVersions(),
    observe: async () => [],
  };
}

/** What an edge does: one flush for all batches that a recorder delivers. */
async function flushOf(recorder: Recorder): Promise<TelemetryFlush> {
  const functions: { namespace: string; script: string; batch: MetricsBatch }[] = [];
  const sink: MetricsSink = {
    getByName: (name) => ({
      record: async (batch) => {
        const [namespace = "", script = ""] = name.split("/");
        functions.push({ namespace, script, batch });
      },
    }),
  };
  await recorder.flush(sink);
  return { functions };
}

function addRequests(recorder: Recorder, script: string, count: number, namespace = "production") {
  for (let index = 0; index < count; index += 1) {
    const cold = index === 0 ? COLD : undefined;
    recorder.add(namespace, script, {
      versionId: "v1",
      kind: "fetch",
      isRetry: false,
      outcome: "ok",
      status: 200,
      wallMs: index % 20,
      cold,
    });
  }
}

describe("ingestTelemetry", () => {
  it("stores what a recorder collected, once, with CPU estimates from the second flush on", async () => {
    const recorder = new Recorder();
    const cpuMs = { value: 100 };
    const deps = createDeps("id-1", cpuMs);
    addRequests(recorder, "a", 10);
    addRequests(recorder, "b", 1);
    const first = await flushOf(recorder);
    expect(await ingestTelemetry(first, 3, deps)).toEqual({ failed: [] });
    expect(await ingestTelemetry(first, 3, deps)).toEqual({ failed: [] });
    const before = await readScript(reader, "id-1/a", lastHour());
    expect(before.summary).toMatchObject({ requests: 10, coldStarts: 1, cpuMs: null });

    cpuMs.value += 8 + COLD.load;
    addRequests(recorder, "a", 10);
    await ingestTelemetry(await flushOf(recorder), 3, deps);
    const { summary } = await readScript(reader, "id-1/a", lastHour());
    expect(summary.requests).toBe(20);
    expect(summary.cpuMs?.count).toBe(10);
    expect(summary.cpuMs?.mean).toBeGreaterThan(0.5);
    expect(summary.cpuMs?.mean).toBeLessThan(0.81);
  });

  it("stores without CPU when the supervisor does not answer", async () => {
    const recorder = new Recorder();
    addRequests(recorder, "a", 4);
    const deps = createDeps("id-2", { value: null });
    await ingestTelemetry(await flushOf(recorder), 3, deps);
    const { summary } = await readScript(reader, "id-2/a", lastHour());
    expect(summary).toMatchObject({ requests: 4, cpuMs: null });
  });

  it("drops functions of unknown namespaces and stores the others", async () => {
    const recorder = new Recorder();
    addRequests(recorder, "a", 2, "deleted");
    addRequests(recorder, "a", 3);
    const flush = await flushOf(recorder);
    const result = await ingestTelemetry(flush, 3, createDeps("id-3", { value: 1 }));
    expect(result).toEqual({ failed: [] });
    expect((await readScript(reader, "id-3/a", lastHour())).summary.requests).toBe(3);
  });

  it("names the function that could not be stored and stores the others", async () => {
    const broken = functionMetrics.getByName("id-4/broken");
    await runInDurableObject(broken, (_instance, { storage }) => {
      storage.sql.exec("CREATE TABLE rows (unlike TEXT); CREATE TABLE state (name TEXT)");
    });
    const recorder = new Recorder();
    addRequests(recorder, "broken", 1);
    addRequests(recorder, "a", 5);
    const flush = await flushOf(recorder);
    const result = await ingestTelemetry(flush, 3, createDeps("id-4", { value: 1 }));
    expect(result).toEqual({ failed: ["production/broken"] });
    expect((await readScript(reader, "id-4/a", lastHour())).summary.requests).toBe(5);
  });
});

describe("reading", () => {
  it("answers one summary per function of a namespace, called or not", async () => {
    const recorder = new Recorder();
    addRequests(recorder, "busy", 300);
    await ingestTelemetry(await flushOf(recorder), 3, createDeps("id-5", { value: 1 }));
    const place = { kind: "edge", why: "" } as const;
    const functions = ["busy", "idle"].map((script) => ({ script, place }));
    const query = lastHour();
    const metrics = await readNamespace(
      reader,
      { id: "id-5", name: "production", functions },
      query,
    );
    expect(metrics).toMatchObject({ namespace: "production", sinceMs: query.sinceMs });
    expect(metrics.functions.map(({ script, summary }) => [script, summary.requests])).toEqual([
      ["busy", 300],
      ["idle", 0],
    ]);
  });

  it("exposes lifetime counters to Prometheus", async () => {
    const recorder = new Recorder();
    addRequests(recorder, "a", 40);
    await ingestTelemetry(await flushOf(recorder), 3, createDeps("id-6", { value: 1 }));
    const text = await readPrometheus(reader, [
      { namespaceId: "id-6", namespace: "production", script: "a" },
    ]);
    expect(text).toContain(
      'skep_invocations_total{namespace="production",script="a",kind="fetch",outcome="ok"} 40\n',
    );
    expect(text).toContain(
      'skep_invocation_wall_seconds_bucket{namespace="production",script="a",kind="fetch",le="0.01"} 22\n',
    );
  });
});
