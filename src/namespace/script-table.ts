/**
 * What this edge knows of each script: the state with the highest generation it has seen, from the hub's
 * answers and pushes alike (protocol/routing.ts).
 */
import type { ScriptState } from "../protocol/routing.ts";
import { ScriptEntry, type NamespaceUsage } from "./script-entry.ts";

/**
 * Names that lead nowhere come from the outside without limit; beyond this many scripts the ones known
 * for longest are forgotten, and asked for again when they are called.
 */
const MAX_SCRIPTS = 100_000;

interface Namespace {
  readonly scripts: Map<string, ScriptEntry>;
  readonly usage: NamespaceUsage;
}

export class ScriptTable {
  readonly #namespaces = new Map<string, Namespace>();
  #size = 0;

  /** The entry stays the same when its state changes. */
  get(namespace: string, script: string): ScriptEntry | undefined {
    return this.#namespaces.get(namespace)?.scripts.get(script);
  }

  /**
   * `entry` has the state that holds now. `leaves`: versions that have no business in the edges any more, because
   * others took their place or because they moved to cells; or whose isolates there have an old way out, or tell too
   * much or too little of what they do.
   */
  accept(state: ScriptState): { readonly entry: ScriptEntry; readonly leaves: readonly string[] } {
    const { scripts, usage } =
      this.#namespaces.get(state.namespace) ?? this.#addNamespace(state.namespace);
    const known = scripts.get(state.script);
    if (known === undefined) {
      this.#makeRoom();
      const entry = new ScriptEntry(state, usage);
      scripts.set(state.script, entry);
      return { entry, leaves: [] };
    }
    if (known.state.generation >= state.generation) return { entry: known, leaves: [] };
    const { outbound, previewOf } = known.state;
    const { isTraced } = known;
    const before = known.versions.flatMap(({ place, state: { versionId } }) =>
      versionId !== null && place === "edge" ? [versionId] : [],
    );
    known.take(state);
    const sameWayOut = JSON.stringify(state.outbound) === JSON.stringify(outbound);
    const isSame = sameWayOut && known.isTraced === isTraced;
    const leaves = before.filter((versionId) => {
      const now = known.versions.find((entry) => entry.state.versionId === versionId);
      // The version of which it was a preview may get traffic all the same.
      if (now === undefined) return previewOf === undefined;
      return now.place !== "edge" || !isSame;
    });
    return { entry: known, leaves };
  }

  #addNamespace(name: string): Namespace {
    const namespace: Namespace = { scripts: new Map(), usage: { underWay: 0 } };
    this.#namespaces.set(name, namespace);
    return namespace;
  }

  #makeRoom(): void {
    this.#size++;
    if (this.#size <= MAX_SCRIPTS) return;
    for (const [name, { scripts, usage }] of this.#namespaces) {
      const [oldest] = scripts.keys();
      if (oldest === undefined) {
        if (usage.underWay === 0) this.#namespaces.delete(name);
        continue;
      }
      scripts.delete(oldest);
      this.#size--;
      return;
    }
  }
}
