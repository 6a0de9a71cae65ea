/**
 * What this edge knows of each script: the state with the highest generation it has seen, from the hub's
 * answers and pushes alike (protocol/routing.ts).
 */
import type { ScriptState } from "../protocol/routing.ts";

/**
 * Names that lead nowhere come from the outside without limit; beyond this many scripts the ones known
 * for longest are forgotten, and asked for again when they are called.
 */
const MAX_SCRIPTS = 100_000;

export class ScriptTable {
  readonly #namespaces = new Map<string, Map<string, ScriptState>>();
  #size = 0;

  get(namespace: string, script: string): ScriptState | undefined {
    return this.#namespaces.get(namespace)?.get(script);
  }

  /** Returns the state that holds now, and the version that it took the place of, if any. */
  accept(state: ScriptState): {
    readonly current: ScriptState;
    readonly superseded: string | null;
  } {
    const scripts = this.#namespaces.get(state.namespace) ?? this.#addNamespace(state.namespace);
    const known = scripts.get(state.script);
    if (known !== undefined && known.generation >= state.generation) {
      return { current: known, superseded: null };
    }
    if (known === undefined) this.#makeRoom();
    scripts.set(state.script, state);
    const superseded = known?.versionId ?? null;
    return { current: state, superseded: superseded === state.versionId ? null : superseded };
  }

  #addNamespace(namespace: string): Map<string, ScriptState> {
    const scripts = new Map<string, ScriptState>();
    this.#namespaces.set(namespace, scripts);
    return scripts;
  }

  #makeRoom(): void {
    this.#size++;
    if (this.#size <= MAX_SCRIPTS) return;
    for (const [namespace, scripts] of this.#namespaces) {
      const [oldest] = scripts.keys();
      if (oldest === undefined) {
        this.#namespaces.delete(namespace);
        continue;
      }
      scripts.delete(oldest);
      this.#size--;
      return;
    }
  }
}
