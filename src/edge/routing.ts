/**
 * Takes what the hub says of scripts, by answer or by push, and does what follows: versions that leave the edges
 * are ended here, new ones are loaded ahead of their first request where that was asked for.
 */
import type { Isolates, LoadTimes } from "../cell/isolates.ts";
import { homeOf } from "../namespace/home.ts";
import { isolateId, isUsual, type Variant } from "../protocol/outbound.ts";
import { ScriptEntry } from "../namespace/script-entry.ts";
import type { ScriptTable } from "../namespace/script-table.ts";
import type { ScriptState } from "../protocol/routing.ts";
import type { Cells } from "./cells.ts";
import type { Grants } from "../protocol/grants.ts";
import type { HubClient } from "./hub-client.ts";
import type { CellLoader } from "./load-cell.ts";
import { usualVariant } from "./variant.ts";

/** A deploy waits for the edges, so it does not wait long for what is a convenience. */
const PREWARM_TIMEOUT_MS = 1_000;

export interface RoutingOptions {
  readonly scripts: ScriptTable;
  readonly isolates: Isolates;
  readonly cells: Cells;
  readonly loader: CellLoader;
  readonly hub: HubClient;
  readonly grants: Grants;
  readonly edgeIndex: number;
  readonly edgeCount: number;
  readonly keepAlive: (work: Promise<unknown>) => void;
}

export class Routing {
  readonly #options: RoutingOptions;
  /** Those of which this edge keeps an isolate, of one version at least. */
  readonly #minWarm = new Set<ScriptEntry>();

  constructor(options: RoutingOptions) {
    this.#options = options;
  }

  /** Asks the hub. */
  async resolve(namespace: string, script: string): Promise<ScriptEntry> {
    return this.#accept(await this.#options.hub.resolve(namespace, script));
  }

  /** A push. Resolves when the edge acts by it. */
  async take(states: readonly ScriptState[]): Promise<void> {
    const ahead = states.filter(({ prewarm }) => prewarm === true);
    for (const state of states) if (state.prewarm !== true) this.#accept(state);
    await this.#prewarm(ahead);
    for (const state of ahead) this.#accept(state);
  }

  /** Loads what has to be loaded at all times and is not. Never rejects. */
  async keepWarm(): Promise<void> {
    const versions = Array.from(this.#minWarm, (entry) => entry.versions).flat();
    const warm = versions.filter((version) => this.#keepsWarm(version));
    await Promise.all(warm.map((version) => this.#warm(version)));
  }

  /** Into an isolate of this edge. */
  async load(
    entry: ScriptEntry,
    versionId: string,
    wanted: Variant | undefined,
  ): Promise<LoadTimes> {
    const { script } = entry;
    const { namespace } = entry.state;
    const { isolates, hub, grants } = this.#options;
    const minWarm = this.#keepsWarm(entry) && isUsual(wanted) ? entry.limits.min_warm : 0;
    const variant = wanted && (await grants.addToVariant(wanted, { namespace, script }));
    const of = { namespace, script, minWarm, variant };
    return isolates.load(versionId, () => hub.bundle(versionId), of);
  }

  #accept(state: ScriptState): ScriptEntry {
    const { scripts, isolates, keepAlive } = this.#options;
    const { entry, leaves } = scripts.accept(state);
    for (const versionId of leaves) isolates.supersede(versionId);
    const warm = entry.versions.filter((version) => this.#keepsWarm(version));
    if (warm.length > 0) {
      this.#minWarm.add(entry);
      for (const version of warm) keepAlive(this.#warm(version));
    } else {
      this.#minWarm.delete(entry);
    }
    return entry;
  }

  /**
   * Edges keep isolates warm in order of their index, beginning with the home edge; of cells there is one. Not those
   * of previews.
   */
  #keepsWarm({ state, limits, place }: ScriptEntry): boolean {
    const { edgeIndex, edgeCount } = this.#options;
    if (state.versionId === null || state.previewOf !== undefined) return false;
    const distance = (edgeIndex - homeOf(state.versionId, edgeCount) + edgeCount) % edgeCount;
    return distance < Math.min(limits.min_warm, place === "edge" ? Infinity : 1);
  }

  async #prewarm(states: readonly ScriptState[]): Promise<void> {
    const { scripts, edgeIndex, edgeCount, keepAlive } = this.#options;
    const loads = states.flatMap((state) => {
      const { namespace, script, generation } = state;
      const known = scripts.get(namespace, script);
      if (known !== undefined && known.state.generation >= generation) return [];
      return new ScriptEntry(state, { underWay: 0 }).versions
        .filter(({ state: { versionId } }) => {
          return versionId !== null && homeOf(versionId, edgeCount) === edgeIndex;
        })
        .map((version) => this.#warm(version));
    });
    if (loads.length === 0) return;
    const loaded = Promise.all(loads);
    keepAlive(loaded);
    await Promise.race([loaded, scheduler.wait(PREWARM_TIMEOUT_MS)]);
  }

  /** Never rejects. */
  async #warm(entry: ScriptEntry): Promise<void> {
    const { isolates, cells, loader } = this.#options;
    const { versionId, assets } = entry.state;
    if (versionId === null || assets?.isOnly === true) return;
    try {
      const variant = await usualVariant(entry);
      if (entry.place !== "edge") {
        const cell =
          entry.place === "dedicated"
            ? await cells.dedicated(versionId)
            : cells.probation(versionId);
        await loader.load(entry, versionId, cell, { isMissing: false, variant });
      } else if (!isolates.has(isolateId(versionId, variant))) {
        await this.load(entry, versionId, variant);
      }
    } catch {
      // The first request tries again, and gets to know why it fails.
    }
  }
}
