/** What edges ask of the hub, over `edge-hub.sock` (src/protocol/hub.ts). Not on the warm path. */
import { WorkerEntrypoint } from "cloudflare:workers";
import { encodeBundle } from "../protocol/bundle.ts";
import type { AnalyticsFlush } from "../protocol/analytics.ts";
import type { TelemetryFlush } from "../protocol/telemetry.ts";
import { assetsState } from "../registry/assets-state.ts";
import { readBlob } from "../registry/blobs.ts";
import type { TraceFlush } from "../protocol/trace.ts";
import { makeBundle } from "../registry/bundle.ts";
import { registryOf } from "../registry/client.ts";
import { createSealer } from "../registry/seal.ts";
import { OVER_QUOTA } from "../protocol/dispatch-errors.ts";
import { assignCell } from "../registry/supervisor.ts";
import { storePoints } from "./analytics.ts";
import { CpuShare } from "./cpu-share.ts";
import type { HubEnv } from "./env.ts";
import { secretKeys } from "./secret-keys.ts";
import { settledVersions } from "./settled-versions.ts";
import { ingestTraces } from "./traces.ts";
import { ingestTelemetry } from "./telemetry.ts";

const NO_CELL: Readonly<Record<string, number>> = {
  "unknown-version": 404,
  "objects-unreachable": 503,
};

/** What it learns of the functions' CPU use is lost with this process, and learned again. */
const cpu = new CpuShare();

export class EdgeGate extends WorkerEntrypoint<HubEnv> {
  override async fetch(request: Request): Promise<Response> {
    const { pathname, searchParams } = new URL(request.url);
    const call = `${request.method} ${pathname}`;
    const registry = registryOf(this.env);
    if (call === "GET /resolve") {
      const namespace = searchParams.get("namespace") ?? "";
      const script = searchParams.get("script") ?? "";
      return Response.json(await registry.resolve(namespace, script));
    }
    if (call === "GET /routes") return Response.json(await registry.allRoutes());
    if (call.startsWith("GET /bundles/")) return this.#bundle(pathname.slice("/bundles/".length));
    if (call.startsWith("GET /blobs/")) {
      return readBlob(this.env.BLOBS, pathname.slice("/blobs/".length));
    }
    if (call === "GET /assets") return this.#assets(searchParams.get("version") ?? "");
    if (call === "GET /cell") return this.#cell(searchParams.get("version") ?? "");
    if (call === "GET /object-owner") {
      return Response.json(await registry.objectOwner(searchParams.get("key") ?? ""));
    }
    if (call === "POST /telemetry") {
      const flush = await request.json<TelemetryFlush>();
      return this.#telemetry(flush, Number(searchParams.get("edge")));
    }
    if (call === "POST /analytics") {
      await storePoints(await request.json<AnalyticsFlush>(), this.env);
      return new Response(null, { status: 204 });
    }
    if (call === "POST /traces") return this.#traces(await request.json<TraceFlush>());
    return new Response(`no such call: ${call}`, { status: 404 });
  }

  /** A version that was replaced a hundred times in a minute may be gone: the edge then resolves anew. */
  async #bundle(versionId: string): Promise<Response> {
    const found = await registryOf(this.env).version(versionId);
    if (!found.ok) return new Response(`no version ${versionId}`, { status: 404 });
    const bundle = await makeBundle(
      found.value,
      this.env.BLOBS,
      createSealer(secretKeys(this.env)),
    );
    return new Response(encodeBundle(bundle));
  }

  async #assets(versionId: string): Promise<Response> {
    const found = await registryOf(this.env).version(versionId);
    const version = found.ok ? found.value.version : undefined;
    if (!version?.assets) return new Response(`no assets of ${versionId}`, { status: 404 });
    return Response.json(assetsState(version.assets, version.settings));
  }

  /** 404 and 409: what the edge knows of the version is out of date. */
  async #cell(versionId: string): Promise<Response> {
    const wanted = await registryOf(this.env).cellRequest(versionId);
    if (!wanted.ok) {
      const { reason } = wanted.failure;
      const status = NO_CELL[reason] ?? 409;
      return new Response(`${reason}: ${versionId}`, { status });
    }
    const assigned = await assignCell(this.env.SUPERVISOR, wanted.value);
    if (assigned.ok) return Response.json(assigned.value);
    const { isOverQuota, detail } = assigned.failure;
    return new Response(detail, { status: isOverQuota ? OVER_QUOTA : 503 });
  }

  async #traces(flush: TraceFlush): Promise<Response> {
    await ingestTraces(flush, {
      registry: registryOf(this.env),
      logs: this.env.FUNCTION_LOGS,
      blobs: this.env.BLOBS,
      costMs: (namespace, script) => cpu.costMs(`${namespace}/${script}`),
    });
    return new Response(null, { status: 204 });
  }

  async #telemetry(flush: TelemetryFlush, edgeIndex: number): Promise<Response> {
    const result = await ingestTelemetry(flush, edgeIndex, {
      supervisor: this.env.SUPERVISOR,
      functionMetrics: this.env.FUNCTION_METRICS,
      resolveNamespaceId: (name) => registryOf(this.env).namespaceId(name),
      cpu,
      settled: settledVersions,
      observe: (observations) => registryOf(this.env).observe(observations),
    });
    return Response.json(result);
  }
}
