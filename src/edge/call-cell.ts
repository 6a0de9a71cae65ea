/**
 * The way of an invocation whose function runs in a cell: the bundle goes there if need be, then the request.
 * A cell can die at any moment, mostly because some function in it hurt it. Then the supervisor tells who did,
 * as far as it knows: that function's requests get its limit as an error, and those of the others are sent again,
 * if that can do no harm.
 */
import { LimitError, LostError, remoteError } from "../protocol/dispatch-errors.ts";
import { forward, MissingError, type CellCall } from "../protocol/hop.ts";
import type { Incident } from "../protocol/incident.ts";
import { isolateId } from "../protocol/outbound.ts";
import type { ScriptEntry } from "../namespace/script-entry.ts";
import { versionOf } from "./call-edge.ts";
import type { CellRef, Cells } from "./cells.ts";
import { optionsOf, TRUSTED_CF, type EdgeCall } from "./edge-call.ts";
import { VersionGoneError } from "./hub-client.ts";
import { connectionLost, neverConnected } from "./losses.ts";
import { CellReplacedError, type CellLoader } from "./load-cell.ts";
import { relayed } from "./relay.ts";

/** Of one request: every loss, eviction and deploy on its way costs one. */
const MAX_TRIES = 8;

/** A cell whose socket is not there is being replaced, which takes some milliseconds. */
const REPLACEMENT_WAIT_MS = 250;
const MAX_REPLACEMENT_WAITS = 8;

/**
 * After the first loss a request that is not to blame is sent again at once. After the second it may be the one that
 * hurts, or lie beside it again; so it goes on only once the hub has given it a cell of its own.
 */
const MAX_LOSSES = 2;

/** The hub hears of an incident after the edges, and tells them what follows from it. */
const MOVE_WAIT_MS = 1_000;
const MOVE_POLL_MS = 10;

const IDEMPOTENT = new Set(["GET", "HEAD", "OPTIONS"]);

export interface CellCallsOptions {
  readonly cells: Cells;
  readonly loader: CellLoader;
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
      }
    }
  }

  /** Returns if the request may be tried again; else throws what its client gets. */
  async #recover(call: EdgeCall, trip: Trip, error: unknown): Promise<void> {
    const { cells, loader, refresh } = this.#options;
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
    const { method, body } = call.request;
    // While it was being loaded, nothing of the request itself has run.
    const mayRunAgain = !trip.wasSent || (IDEMPOTENT.has(method) && body === null);
    const isStale = cells.isNew(cell, trip.sentMs);
    if (isStale && mayRunAgain && (await loader.isAlive(cell))) {
      trip.waits++;
      return;
    }
    const incident = await cells.incidentOf(cell, trip.startedMs);
    // The cell lives: it is the answer that could not be sent, such as one with a locked body.
    if (trip.wasSent && !isStale && incident === undefined && (await loader.isAlive(cell))) {
      throw remoteError("Error", "the function's answer broke off", undefined);
    }
    trip.losses++;
    const isBlamed = isToBlame(incident, versionId, trip.losses > 1);
    if (isBlamed && (incident.certain || incident.kind !== "cpu")) throw verdict(incident, call);
    const mayHurtAgain = isBlamed || isSuspect(incident, versionId) || trip.losses > 1;
    if (mayRunAgain && trip.losses <= MAX_LOSSES) {
      if (!mayHurtAgain || (await leavesProbation(call.entry))) return;
    }
    if (isBlamed) throw verdict(incident, call);
    throw new LostError("the cell that ran this request was lost", { cause: error });
  }
}

function cellCall(call: EdgeCall, versionId: string): Omit<CellCall, "method"> {
  const { entry, dispatch, variant, via } = call;
  const { namespace, script, trusted } = entry.state;
  const { limits } = optionsOf(entry, dispatch, via);
  const cf = trusted === true ? { cf: TRUSTED_CF } : {};
  return { namespace, script, versionId, args: dispatch.args, limits, variant, via, ...cf };
}

/**
 * A version that was the only one under way is not to blame for that alone: a neighbour may have spun in its
 * background work, which nobody counts. Twice in a row it is no accident. Even one that is named may be such a
 * bystander; but the named one soon gets a cell of its own, where its request shows who it is.
 */
function isToBlame(
  incident: Incident | undefined,
  versionId: string,
  wasLostBefore: boolean,
): incident is Incident {
  if (incident === undefined) return false;
  const { named, involved } = incident;
  const wasAlone = named === null && involved.length === 1 && involved[0] === versionId;
  return named === versionId || (wasAlone && wasLostBefore);
}

/** Nobody knows who did it, so all that were under way get cells of their own. */
function isSuspect(incident: Incident | undefined, versionId: string): boolean {
  return incident?.named === null && incident.involved.includes(versionId);
}

/** Waits for the hub to move it; false: it did not. */
async function leavesProbation(entry: ScriptEntry): Promise<boolean> {
  const deadlineMs = Date.now() + MOVE_WAIT_MS;
  while (entry.place === "probation" && Date.now() < deadlineMs) await scheduler.wait(MOVE_POLL_MS);
  return entry.place !== "probation";
}

function verdict({ kind }: Incident, { entry, dispatch, via }: EdgeCall): Error {
  const { cpuMs } = optionsOf(entry, dispatch, via).limits;
  // It convicted itself, and is refused for a second at least.
  const retryAfterSeconds = entry.place === "dedicated" ? 1 : undefined;
  switch (kind) {
    case "cpu":
      return new LimitError(
        "exceededCpu",
        `Worker exceeded CPU time limit. It is cpu_ms = ${cpuMs}; use less CPU time or raise that limit`,
        retryAfterSeconds,
      );
    case "memory":
      return new LimitError(
        "exceededMemory",
        `Worker exceeded memory limit. It is memory_mb = ${entry.limits.memory_mb}; use less memory or raise that limit`,
        retryAfterSeconds,
      );
    case "crash":
      return new LostError("the function's process ended");
  }
}
