/** Brings versions to cells. Requests that need the same version in the same cell wait for one load. */
import type { Bundle } from "../protocol/bundle.ts";
import { encodeBundle } from "../protocol/bundle.ts";
import { remoteError, UnavailableError } from "../protocol/dispatch-errors.ts";
import type { CellLoad } from "../protocol/hub.ts";
import { isolateId, isUsual, type Variant } from "../protocol/outbound.ts";
import type { ScriptEntry } from "../namespace/script-entry.ts";
import type { CellRef, Cells } from "./cells.ts";
import type { Grants } from "../protocol/grants.ts";
import { Once } from "./once.ts";

/** What a cell answers to whoever means the process that was there before. */
const REPLACED = 409;
const ASK_TIMEOUT_MS = 1_000;

interface Times {
  readonly fetchMs: number;
  readonly loadMs: number;
}

export interface WhatToLoad {
  /** It is known not to be there, so the cell is not asked. */
  readonly isMissing: boolean;
  /** Left out: the plain version. */
  readonly variant?: Variant | undefined;
}

export interface CellLoaderOptions {
  readonly cells: Cells;
  /** By cell index. */
  readonly fetchers: readonly Fetcher[];
  readonly bundle: (versionId: string) => Promise<Bundle>;
  readonly grants: Grants;
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
   * Resolves once the cell holds the version. `isOwn`: this call loaded it. Rejects with what `bundle` does, with
   * the runtime's words if the connection fails, or as an invocation would if the version does not start.
   */
  async load(
    entry: ScriptEntry,
    versionId: string,
    cell: CellRef,
    { isMissing, variant }: WhatToLoad,
  ): Promise<Times & { readonly isOwn: boolean }> {
    const id = isolateId(versionId, variant);
    if (!isMissing && (await this.#has(id, cell))) {
      return { isOwn: false, fetchMs: 0, loadMs: 0 };
    }
    const { isFirst, result } = this.#loads.share(`${cell.index}/${cell.life}/${id}`, () =>
      this.#send(entry, versionId, cell, variant),
    );
    return { isOwn: isFirst, ...(await result) };
  }

  /** Whether the cell is still the process that it was, by its own answer. */
  async isAlive(cell: CellRef): Promise<boolean> {
    // Who does not know which process it was cannot ask for it.
    if (typeof cell.life !== "number") return false;
    try {
      return (await this.#ask("", cell)) !== REPLACED;
    } catch {
      return false;
    }
  }

  async #has(id: string, cell: CellRef): Promise<boolean> {
    const status = await this.#ask(id, cell);
    if (status === REPLACED) throw new CellReplacedError("the cell was replaced");
    return status === 204;
  }

  async #ask(id: string, { index, life }: CellRef): Promise<number> {
    const query = new URLSearchParams({ isolate: id });
    if (typeof life === "number") query.set("life", String(life));
    const response = await this.#fetcher(index).fetch(`http://cell/has?${query.toString()}`, {
      signal: AbortSignal.timeout(ASK_TIMEOUT_MS),
    });
    await response.body?.cancel();
    return response.status;
  }

  async #send(
    entry: ScriptEntry,
    versionId: string,
    cell: CellRef,
    variant: Variant | undefined,
  ): Promise<Times> {
    const startedMs = Date.now();
    const { grants } = this.#options;
    const { script } = entry;
    const { namespace } = entry.state;
    const to = { namespace, script };
    const bundle = encodeBundle(await grants.addTo(await this.#options.bundle(versionId), to));
    const fetchedMs = Date.now();
    const minWarm = String(isUsual(variant) ? entry.limits.min_warm : 0);
    const query = new URLSearchParams({ namespace, script, minWarm });
    if (variant !== undefined) {
      query.set("variant", JSON.stringify(await grants.addToVariant(variant, to)));
    }
    // The index may be another version's dedicated cell by now.
    if (typeof cell.life === "number") query.set("life", String(cell.life));
    const response = await this.#fetcher(cell.index).fetch(`http://cell/load?${query.toString()}`, {
      method: "POST",
      body: bundle,
    });
    if (response.status === REPLACED) {
      await response.body?.cancel();
      throw new CellReplacedError("the cell was replaced before its bundle came");
    }
    if (!response.ok)
      throw new UnavailableError(`a cell refused a bundle: ${await response.text()}`);
    const loaded: CellLoad = await response.json();
    if (!loaded.ok) throw toStartError(loaded);
    const nowMs = Date.now();
    this.#options.cells.saw(isolateId(versionId, variant), cell, nowMs);
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
