/**
 * The versions of which this hub process knows that clean invocations change nothing for them, so that
 * telemetry of proven functions costs the Registry nothing. It may know too few, never too many: an incident
 * takes versions out, also those that an answer still on its way would put in.
 */

/** Beyond it everything is learned anew, at one call of the Registry per flush. */
const MAX_VERSIONS = 100_000;

export class SettledVersions {
  readonly #ids = new Set<string>();
  #epoch = 0;

  has(versionId: string): boolean {
    return this.#ids.has(versionId);
  }

  /** Call before asking the Registry; the result takes its answer, unless it was overtaken. */
  learn(): (versionIds: readonly string[]) => void {
    const epoch = this.#epoch;
    return (versionIds) => {
      if (epoch !== this.#epoch) return;
      if (this.#ids.size + versionIds.length > MAX_VERSIONS) this.#ids.clear();
      for (const versionId of versionIds) this.#ids.add(versionId);
    };
  }

  forget(versionIds: readonly string[]): void {
    this.#epoch++;
    for (const versionId of versionIds) this.#ids.delete(versionId);
  }
}

export const settledVersions = new SettledVersions();
