/**
 * The edge's calls to the hub (protocol/hub.ts). When the hub cannot be reached they reject with an
 * UnavailableError: nothing ran, and the request may be sent again.
 */
import { LimitError, OVER_QUOTA, UnavailableError } from "../protocol/dispatch-errors.ts";
import type { ObjectOwner } from "../protocol/objects.ts";
import { decodeBundle, type Bundle } from "../protocol/bundle.ts";
import type { AnalyticsFlush } from "../protocol/analytics.ts";
import type { CellAssignment } from "../protocol/incident.ts";
import type { AssetsState, RoutesState, ScriptState } from "../protocol/routing.ts";
import type { TraceFlush } from "../protocol/trace.ts";
import type { MetricsBatch, TelemetryFlush, TelemetryResult } from "../protocol/telemetry.ts";

export class HubClient {
  readonly #hub: Fetcher;
  readonly #edgeIndex: number;

  constructor(hub: Fetcher, edgeIndex: number) {
    this.#hub = hub;
    this.#edgeIndex = edgeIndex;
  }

  async resolve(namespace: string, script: string): Promise<ScriptState> {
    const query = new URLSearchParams({ namespace, script });
    return (await this.#call(`/resolve?${query.toString()}`)).json();
  }

  async routes(): Promise<RoutesState> {
    return (await this.#call("/routes")).json();
  }

  /** Rejects with a VersionGoneError if the version was superseded and its bundle deleted. */
  async bundle(versionId: string): Promise<Bundle> {
    const response = await this.#call(`/bundles/${versionId}`, undefined, [404]);
    if (response.status === 404) {
      await response.body?.cancel();
      throw new VersionGoneError(`the hub has no bundle of version ${versionId}`);
    }
    return decodeBundle(new Uint8Array(await response.arrayBuffer()));
  }

  /** What the assets binding of a version serves. */
  async assets(versionId: string): Promise<AssetsState> {
    return (await this.#call(`/assets?version=${versionId}`)).json();
  }

  /** A manifest of static assets, or the content of one. */
  blob(hash: string): Promise<Response> {
    return this.#call(`/blobs/${hash}`);
  }

  /** The dedicated cell of a version. Rejects with a VersionGoneError if it has none by right, and with a LimitError without room for its objects. */
  async cell(versionId: string): Promise<CellAssignment> {
    const expected = [404, 409, OVER_QUOTA];
    const response = await this.#call(`/cell?version=${versionId}`, undefined, expected);
    if (response.status === OVER_QUOTA) throw new LimitError("overQuota", await response.text());
    if (!response.ok) throw new VersionGoneError(await response.text());
    return response.json();
  }

  /** null: no script has such a class. */
  async objectOwner(key: string): Promise<ObjectOwner | null> {
    return (await this.#call(`/object-owner?key=${encodeURIComponent(key)}`)).json();
  }

  async telemetry(flush: TelemetryFlush): Promise<TelemetryResult> {
    const init = { method: "POST", body: JSON.stringify(flush) };
    return (await this.#call(`/telemetry?edge=${this.#edgeIndex}`, init)).json();
  }

  async analytics(flush: AnalyticsFlush): Promise<void> {
    await this.#call("/analytics", { method: "POST", body: JSON.stringify(flush) });
  }

  async traces(flush: TraceFlush): Promise<void> {
    await this.#call("/traces", { method: "POST", body: JSON.stringify(flush) });
  }

  async #call(
    path: string,
    init?: RequestInit,
    expected: readonly number[] = [],
  ): Promise<Response> {
    const response = await this.#hub.fetch(`http://hub${path}`, init).catch((cause: unknown) => {
      throw new UnavailableError("the hub cannot be reached", { cause });
    });
    if (response.ok || expected.includes(response.status)) return response;
    const detail = await response.text();
    throw new UnavailableError(`the hub answered ${path} with ${response.status}: ${detail}`);
  }
}

/** What this edge knows of the script is out of date. */
export class VersionGoneError extends Error {
  override readonly name = "VersionGoneError";
}

interface MetricsStub {
  record(batch: MetricsBatch): Promise<void>;
}

/**
 * Has the shape of the FunctionMetrics namespace that the dispatcher expects, and sends the batches that
 * are recorded in one turn to the hub in one call.
 */
export class HubMetrics {
  readonly #hub: HubClient;
  #waiting: TelemetryFlush["functions"][number][] = [];
  #sending: Promise<TelemetryResult> | undefined;
  readonly #flushes: (() => Promise<void>)[] = [];

  constructor(hub: HubClient) {
    this.#hub = hub;
  }

  /** `name` is `<namespace>/<script>`; neither contains a slash. */
  getByName(name: string): MetricsStub {
    const [namespace = "", script = ""] = name.split("/");
    return {
      record: async (batch) => {
        this.#waiting.push({ namespace, script, batch });
        const { failed } = await (this.#sending ??= this.#send());
        if (failed.includes(name))
          throw new Error(`the hub could not store the metrics of ${name}`);
      },
    };
  }

  onFlush(flush: () => Promise<void>): void {
    this.#flushes.push(flush);
  }

  /** Delivers what was recorded so far, by the dispatcher and of outbound Workers. Never rejects. */
  async flush(): Promise<void> {
    await Promise.all(this.#flushes.map((flush) => flush()));
  }

  async #send(): Promise<TelemetryResult> {
    await Promise.resolve();
    const functions = this.#waiting;
    this.#waiting = [];
    this.#sending = undefined;
    return this.#hub.telemetry({ functions });
  }
}
