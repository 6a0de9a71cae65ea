/**
 * The way of an invocation whose function lives in the edges but is not loaded in this one: it is loaded in its
 * home edge. The other edges forward to that, until the function is hot enough to be worth an isolate of
 * their own.
 */
import { remoteError, UnavailableError, workerNotFound } from "../protocol/dispatch-errors.ts";
import { forward } from "../protocol/hop.ts";
import { isolateId, type Variant } from "../protocol/outbound.ts";
import type { Isolates, LoadTimes } from "../cell/isolates.ts";
import { homeOf } from "../namespace/home.ts";
import type { ScriptEntry } from "../namespace/script-entry.ts";
import type { InvocationFacts } from "../namespace/user-worker.ts";
import { isRepeatable, settleLoss } from "./blame.ts";
import { optionsOf, type EdgeCall } from "./edge-call.ts";
import { VersionGoneError } from "./hub-client.ts";
import type { IncidentLog } from "./incident-log.ts";
import { connectionLost, neverConnected } from "./losses.ts";
import { Warmth } from "./warmth.ts";

/** A deploy may overtake a load; more often than this in a row it does not. */
const MAX_TRIES = 3;

/** The runtime notices that a connection kept to a process has ended when it next has a moment. */
const STALE_MS = 1_000;

export interface EdgeCallsOptions {
  readonly isolates: Isolates;
  readonly edgeIndex: number;
  /** Indexed as the edges are; the own entry is never used. */
  readonly peers: readonly Fetcher[];
  readonly incidents: IncidentLog;
  /** Loads the version that the entry names. */
  readonly load: (
    entry: ScriptEntry,
    versionId: string,
    variant: Variant | undefined,
  ) => Promise<LoadTimes>;
  /** Asks the hub anew. */
  readonly refresh: (entry: ScriptEntry) => Promise<void>;
}

export class EdgeCalls {
  readonly #options: EdgeCallsOptions;
  readonly #warmth = new Warmth();

  constructor(options: EdgeCallsOptions) {
    this.#options = options;
  }

  /** undefined: the function has moved to a cell. */
  async call(call: EdgeCall): Promise<Response | undefined> {
    const { entry, facts, request } = call;
    const startedMs = Date.now();
    const versionId = versionOf(entry);
    const { edgeIndex, peers } = this.#options;
    const home = homeOf(versionId, peers.length);
    const peer = peers[home];
    // workerd loses a client's close of a WebSocket that crosses processes (relay.ts), so it had better not.
    const staysHere = home === edgeIndex || request.headers.has("upgrade");
    if (staysHere || peer === undefined) return this.callHere(call);
    if (this.#warmth.isHot(versionId, startedMs)) {
      try {
        return await this.callHere(call);
      } catch (error) {
        // Nothing ran: the hub is away, and the home edge may still have the function.
        if (!(error instanceof UnavailableError)) throw error;
      }
    }
    const { namespace } = entry.state;
    const chosen = entry.whole === entry ? {} : { versionId };
    const peerCall = { ...call.dispatch, namespace, via: call.via, ...chosen };
    try {
      return await forward(peer, peerCall, request, facts, call.signal);
    } catch (error) {
      if (connectionLost(error)) await this.#settle(call, home, startedMs, error);
      else if (!neverConnected(error) || request.bodyUsed) throw error;
    } finally {
      countHop(facts, Date.now() - startedMs);
    }
    return this.callHere(call);
  }

  /** Returns if a request that was lost with its home edge may be sent again; else throws what its client gets. */
  async #settle(call: EdgeCall, home: number, sentMs: number, cause: unknown): Promise<void> {
    const process = "edge";
    const place = { process, index: home, life: undefined } as const;
    const incident = await this.#options.incidents.of(place, sentMs - STALE_MS);
    const mayRunAgain = isRepeatable(call.request);
    // The connection was one to the process before: nobody has seen the request.
    if (mayRunAgain && incident !== undefined && incident.atMs < sentMs) return;
    await settleLoss(call, { incident, mayRunAgain, losses: 1, place: "edge", process, cause });
  }

  /** As `call`, and never forwards. */
  async callHere(call: EdgeCall): Promise<Response | undefined> {
    const { entry, facts, request, variant } = call;
    const { isolates } = this.#options;
    const startedMs = Date.now();
    const options = optionsOf(entry, call.dispatch, call.via);
    for (let tries = 1; ; tries++) {
      if (entry.place !== "edge") return undefined;
      const versionId = versionOf(entry);
      facts.versionId = versionId;
      const id = isolateId(versionId, variant);
      const warm = isolates.invoke(id, request, options);
      if (warm !== undefined) return warm;
      const placeMs = Date.now() - startedMs;
      const times = await this.#load(call, versionId, tries < MAX_TRIES);
      const calledMs = Date.now();
      const response = isolates.invoke(id, request, options);
      if (response === undefined || times === undefined) {
        if (tries < MAX_TRIES) continue;
        const { script } = entry.state;
        throw new UnavailableError(`"${script}" changed faster than it could be loaded`);
      }
      try {
        return await response;
      } finally {
        if (times.loadedHere) {
          const { fetchMs, loadMs } = times;
          const first = Date.now() - calledMs;
          facts.cold = { place: placeMs, fetch: fetchMs, load: loadMs, first };
        }
      }
    }
  }

  /** undefined: there may be another version now, or the load that this one waited for failed; try again. */
  async #load({ entry, variant }: EdgeCall, versionId: string, mayTryAgain: boolean) {
    try {
      return await this.#options.load(entry, versionId, variant);
    } catch (error) {
      if (error instanceof UnavailableError) throw error;
      if (error instanceof VersionGoneError) {
        await this.#options.refresh(entry);
        return undefined;
      }
      const { message, stack, remote } = error as Error & { remote?: boolean };
      if (remote === true || message.startsWith("Failed to start Worker"))
        throw remoteError("Error", message, stack);
      if (mayTryAgain) return undefined;
      throw new UnavailableError(message, { cause: error });
    }
  }
}

/** Throws if there is no such script any more. */
export function versionOf({ state }: ScriptEntry): string {
  if (state.versionId === null) throw workerNotFound(state.namespace, state.script);
  return state.versionId;
}

/** What the hop to the home edge took counts as part of finding a place. */
function countHop(facts: InvocationFacts, elapsedMs: number): void {
  if (facts.cold === undefined) return;
  const { fetch, load, first } = facts.cold;
  facts.cold = { place: Math.max(0, elapsedMs - fetch - load - first), fetch, load, first };
}
