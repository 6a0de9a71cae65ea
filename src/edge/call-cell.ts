/**
 * The way of an invocation whose function runs in a cell: the bundle goes there if need be, then the request.
 * A cell can die at any moment, mostly because some function in it hurt it (blame.ts).
 */
import { LostError, remoteError } from "../protocol/dispatch-errors.ts";
import { forward, MissingError, type CellCall } from "../protocol/hop.ts";
import { isolateId } from "../protocol/outbound.ts";
import type { ScriptEntry } from "../namespace/script-entry.ts";
import { isRepeatable, settleLoss } from "./blame.ts";
import { versionOf } from "./call-edge.ts";
import type { CellRef, Cells } from "./cells.ts";
import { optionsOf, TRUSTED_CF, type EdgeCall } from "./edge-call.ts";
import { VersionGoneError } from "./hub-client.ts";
import type { IncidentLog } from "./incident-log.ts";
import { CellReplacedError, type CellLoader } from "./load-cell.ts";
import { connectionLost, neverConnected } from "./losses.ts";
import { relayed } from "../protocol/relay.ts";

/** Of one request: every loss, eviction and deploy on its way costs one. */
const MAX_TRIES = 8;

/** A cell whose socket is not there is being replaced: milliseconds, or seconds while many start at once. */
const REPLACEMENT_WAIT_MS = 250;
const MAX_REPLACEMENT_WAITS = 40;

export interface CellCallsOptions {
  readonly cells: Cells;
  readonly loader: CellLoader;
  readonly incidents: IncidentLog;
  /** By cell index. */
  readonly fetchers: readonly Fetcher[];
  /** Asks the hub anew. */
  readonly refresh: (entry: ScriptEntry) => Promise<void>;
}

/** What one request met on its way. Times in milliseconds. */
interface Trip {
  readonly startedMs: number;
  tries: number;
  waits: number;
  cell: CellRef | undefined;
  /** The cell said that it lacks the version. */
  isMissing: boolean;
  /** The request itself went out in this try. */
  wasSent: boolean;
  /** When that was. */
  sentMs: number;
  /** How often it was lost with a cell. */
  losses: number;
  /** Of the load that this request began, if it did. */
  load: { readonly fetchMs: number; readonly loadMs: number } | undefined;
}

export class CellCalls {
  readonly #options: CellCallsOptions;

  constructor(options: CellCallsOptions) {
    this.#options = options;
  }

  /** undefined: the function has moved to the edges. */
  async call(call: EdgeCall): Promise<Response | undefined> {
    const trip: Trip = {
      startedMs: Date.now(),
      tries: 0,
      waits: 0,
      cell: undefined,
      isMissing: false,
      wasSent: false,
      sentMs: 0,
      losses: 0,
      load: undefined,
    };
    for (;;) {
      if (call.entry.place === "edge") return undefined;
      try {
        return await this.#try(call, trip);
      } catch (error) {
        await this.#recover(call, trip, error);
        const mayGoOn = trip.tries < MAX_TRIES && trip.waits < MAX_REPLACEMENT_WAITS;
        if (mayGoOn && !call.request.bodyUsed) continue;
        throw new LostError("the cells were replaced faster than they answered", {
          cause: error,
        });
      }
    }
  }

  async #try(call: EdgeCall, trip: Trip): Promise<Response> {
    const { cells, loader, fetchers } = this.#options;
    const { entry, request, facts, signal, variant } = call;
    trip.tries++;
    trip.wasSent = false;
    trip.cell = undefined;
    const versionId = versionOf(entry);
    const id = isolateId(versionId, variant);
    facts.versionId = versionId;
    const cell =
      entry.place === "dedicated" ? await cells.dedicated(versionId) : cells.probation(versionId);
    trip.cell = cell;
    const mayAskLater = request.body === null || cells.isFresh(id, cell, Date.now());
    if (trip.isMissing || !mayAskLater) {
      const { isMissing } = trip;
      const load = await loader.load(entry, versionId, cell, { isMissing, variant });
      trip.load = load.isOwn ? load : trip.load;
      trip.isMissing = false;
    }
    const calledMs = Date.now();
    trip.wasSent = true;
    trip.sentMs = calledMs;
    try {
      const fetcher = fetchers[cell.index] as Fetcher;
      const response = await forward(fetcher, cellCall(call, versionId), request, facts, signal);
      cells.saw(id, cell, calledMs);
      return relayed(response);
    } finally {
      if (trip.load !== undefined) {
        const { fetchMs, loadMs } = trip.load;
        const place = Math.max(0, calledMs - trip.startedMs - fetchMs - loadMs);
        facts.cold = { place, fetch: fetchMs, load: loadMs, first: Date.now() - calledMs };
      } else if (facts.cold !== undefined) {
        // The first one of a stateful cell, which was loaded while its place was made.
        facts.cold = { ...facts.cold, place: Math.max(0, calledMs - trip.startedMs) };
      }
    }
  }

  /** Returns if the request may be tried again; else throws what its client gets. */
  async #recover(call: EdgeCall, trip: Trip, error: unknown): Promise<void> {
    const { cells, loader, incidents, refresh } = this.#options;
    const { cell } = trip;
    if (error instanceof MissingError) {
      trip.isMissing = true;
      return;
    }
    if (error instanceof VersionGoneError) return refresh(call.entry);
    if (cell === undefined) throw error;
    const { versionId } = call.facts;
    if (neverConnected(error) || error instanceof CellReplacedError) {
      trip.tries--;
      trip.waits++;
      cells.forgetAssignment(versionId, cell);
      return cells.news(REPLACEMENT_WAIT_MS);
    }
    if (!connectionLost(error)) throw error;
    cells.forgetAssignment(versionId, cell);
    // While it was being loaded, nothing of the request itself has run.
    const mayRunAgain = !trip.wasSent || isRepeatable(call.request);
    const isStale = cells.isNew(cell, trip.sentMs);
    if (isStale && mayRunAgain && (await loader.isAlive(cell))) {
      trip.waits++;
      return;
    }
    const incident = await incidents.of({ process: "cell", ...cell }, trip.startedMs);
    // The cell lives: it is the answer that could not be sent, such as one with a locked body.
    if (trip.wasSent && !isStale && incident === undefined && (await loader.isAlive(cell))) {
      throw remoteError("Error", "the function's answer broke off", undefined);
    }
    const losses = ++trip.losses;
    const place = call.entry.place === "dedicated" ? "dedicated" : "probation";
    const loss = { incident, mayRunAgain, losses, place, process: "cell", cause: error } as const;
    return settleLoss(call, loss);
  }
}

function cellCall(call: EdgeCall, versionId: string): Omit<CellCall, "method"> {
  const { entry, dispatch, variant, via } = call;
  const { script } = entry;
  const { namespace, trusted } = entry.state;
  const { limits } = optionsOf(entry, dispatch, via);
  const { args, entrypoint, rpc, object } = dispatch;
  const cf = trusted === true ? { cf: TRUSTED_CF } : {};
  const { event } = dispatch;
  const target = {
    ...(entrypoint && { entrypoint }),
    ...(rpc && { rpc }),
    ...(object && { object }),
    ...(event && { event }),
  };
  return { namespace, script, versionId, args, limits, variant, via, ...cf, ...target };
}
