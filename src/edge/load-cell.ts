/** Brings versions to cells. Requests that need the same version in the same cell wait for one load. */
import type { Bundle } from "../protocol/bundle.ts";
import { encodeBundle } from "../protocol/bundle.ts";
import { remoteError, UnavailableError } from "../protocol/dispatch-errors.ts";
import type { CellLoad } from "../protocol/hub.ts";
import type { ScriptEntry } from "../namespace/script-entry.ts";
import type { CellRef, Cells } from "./cells.ts";
import { Once } from "./once.ts";

interface Times {
  readonly fetchMs: number;
  readonly loadMs: number;
}

export interface CellLoaderOptions {
  readonly cells: Cells;
  /** By cell index. */
  readonly fetchers: readonly Fetcher[];
  readonly bundle: (versionId: string) => Promise<Bundle>;
  readonly keepAlive: (work: Promise<unknown>) => void;
}

export class CellLoader {
  readonly #options: CellLoaderOptions;
  readonly #loads: Once<Times>;

  constructor(options: CellLoaderOptions) {
    this.#options = options;
    this.#loads = new Once(options.keepAlive);
  }

  /**
   * Resolves once the cell holds the version. `isMissing`: it is known not to, so it is not asked. `isOwn`: this
   * call loaded it. Rejects with what `bundle` does, with the runtime's words if the connection fails, or as an
   * invocation would if the version does not start.
   */
  async load(
    entry: ScriptEntry,
    versionId: string,
    cell: CellRef,
    { isMissing }: { readonly isMissing: boolean },
  ): Promise<Times & { readonly isOwn: boolean }> {
    if (!isMissing && (await this.#has(versionId, cell))) {
      return { isOwn: false, fetchMs: 0, loadMs: 0 };
    }
    const { isFirst, result } = this.#loads.share(`${cell.index}/${cell.life}/${versionId}`, () =>
      this.#send(entry, versionId, cell),
    );
    return { isOwn: isFirst, ...(await result) };
  }

  async #has(versionId: string, { index }: CellRef): Promise<boolean> {
    const response = await this.#fetcher(index).fetch(`http://cell/has?version=${versionId}`);
    await response.body?.cancel();
    return response.ok;
  }

  async #send(entry: ScriptEntry, versionId: string, cell: CellRef): Promise<Times> {
    const startedMs = Date.now();
    const bundle = encodeBundle(await this.#options.bundle(versionId));
    const fetchedMs = Date.now();
    const { namespace, script } = entry.state;
    const minWarm = String(entry.limits.min_warm);
    const query = new URLSearchParams({ namespace, script, minWarm });
    // The index may be another version's dedicated cell by now.
    if (typeof cell.life === "number") query.set("life", String(cell.life));
    const response = await this.#fetcher(cell.index).fetch(`http://cell/load?${query.toString()}`, {
      method: "POST",
      body: bundle,
    });
    if (response.status === 409) {
      await response.body?.cancel();
      throw new CellReplacedError("the cell was replaced before its bundle came");
    }
    if (!response.ok)
      throw new UnavailableError(`a cell refused a bundle: ${await response.text()}`);
    const loaded: CellLoad = await response.json();
    if (!loaded.ok) throw toStartError(loaded);
    const nowMs = Date.now();
    this.#options.cells.saw(versionId, cell, nowMs);
    return { fetchMs: fetchedMs - startedMs, loadMs: nowMs - fetchedMs };
  }

  #fetcher(index: number): Fetcher {
    return this.#options.fetchers[index] as Fetcher;
  }
}

/** Nothing was loaded, and nothing ran. */
export class CellReplacedError extends Error {
  override readonly name = "CellReplacedError";
}

/** A version that does not start fails the invocation as if the function had thrown. */
function toStartError({ message, stack, isOwn }: CellLoad & { readonly ok: false }): Error {
  if (isOwn === true || message.startsWith("Failed to start Worker"))
    return remoteError("Error", message, stack);
  return new UnavailableError(message);
}
