/**
 * The way of a request inside an edge: pick the version, find or make its isolate, call it.
 *
 * A warm and local function takes the first few lines only. A cold one is loaded in its home edge; the
 * other edges forward to it, until the function is hot enough to be worth an isolate of their own.
 * Newcomers and suspects will leave from here to cells of their own.
 */
import { remoteError, UnavailableError, workerNotFound } from "../protocol/dispatch-errors.ts";
import { homeOf } from "../namespace/home.ts";
import type { Isolates } from "../cell/isolates.ts";
import type { ScriptTable } from "../namespace/script-table.ts";
import type { DispatchCall, InvocationFacts } from "../namespace/user-worker.ts";
import type { ScriptState } from "../protocol/routing.ts";
import { VersionGoneError, type HubClient } from "./hub-client.ts";
import { forward } from "../protocol/hop.ts";
import { Warmth } from "./warmth.ts";

/** A deploy may overtake a load; more often than this in a row it does not. */
const MAX_TRIES = 3;

export class Invoker {
  readonly #scripts: ScriptTable;
  readonly #isolates: Isolates;
  readonly #hub: HubClient;
  readonly #edgeIndex: number;
  /** Indexed as the edges are; the own entry is never used. */
  readonly #peers: readonly Fetcher[];
  readonly #warmth = new Warmth();

  constructor(
    scripts: ScriptTable,
    isolates: Isolates,
    hub: HubClient,
    edgeIndex: number,
    peers: readonly Fetcher[],
  ) {
    this.#scripts = scripts;
    this.#isolates = isolates;
    this.#hub = hub;
    this.#edgeIndex = edgeIndex;
    this.#peers = peers;
  }

  invoke(
    namespace: string,
    call: DispatchCall,
    request: Request,
    facts: InvocationFacts,
  ): Promise<Response> {
    const versionId = this.#scripts.get(namespace, call.script)?.versionId;
    if (versionId) {
      const entrypoint = this.#isolates.entrypoint(versionId, entrypointOptions(call));
      if (entrypoint !== undefined) {
        facts.versionId = versionId;
        return entrypoint.fetch(request);
      }
    }
    return this.#invokeCold(namespace, call, request, facts);
  }

  /** As `invoke`, for requests that a peer forwarded: never forwards again. */
  async invokeHere(
    namespace: string,
    call: DispatchCall,
    request: Request,
    facts: InvocationFacts,
  ): Promise<Response> {
    const startedMs = Date.now();
    for (let tries = 1; ; tries++) {
      const versionId = await this.#versionOf(namespace, call.script);
      facts.versionId = versionId;
      const warm = this.#isolates.entrypoint(versionId, entrypointOptions(call));
      if (warm !== undefined) return warm.fetch(request);
      const placeMs = Date.now() - startedMs;
      const times = await this.#load(namespace, call.script, versionId, tries < MAX_TRIES);
      const entrypoint = this.#isolates.entrypoint(versionId, entrypointOptions(call));
      if (entrypoint === undefined || times === undefined) {
        if (tries < MAX_TRIES) continue;
        throw new UnavailableError(`"${call.script}" changed faster than it could be loaded`);
      }
      const calledMs = Date.now();
      try {
        return await entrypoint.fetch(request);
      } finally {
        if (times.loadedHere) {
          const { fetchMs, loadMs } = times;
          const first = Date.now() - calledMs;
          facts.cold = { place: placeMs, fetch: fetchMs, load: loadMs, first };
        }
      }
    }
  }

  async #invokeCold(
    namespace: string,
    call: DispatchCall,
    request: Request,
    facts: InvocationFacts,
  ): Promise<Response> {
    const startedMs = Date.now();
    const versionId = await this.#versionOf(namespace, call.script);
    const home = homeOf(versionId, this.#peers.length);
    const peer = this.#peers[home];
    // workerd loses a client's close of a WebSocket that crosses processes (the client sees 1006).
    const staysHere = home === this.#edgeIndex || request.headers.has("upgrade");
    if (staysHere || peer === undefined) return this.invokeHere(namespace, call, request, facts);
    if (this.#warmth.isHot(versionId, startedMs)) {
      try {
        return await this.invokeHere(namespace, call, request, facts);
      } catch (error) {
        // Nothing ran: the hub is away, and the home edge may still have the function.
        if (!(error instanceof UnavailableError)) throw error;
      }
    }
    try {
      return await forward(peer, namespace, call, request, facts);
    } catch (error) {
      if (!neverConnected(error) || request.bodyUsed) throw lost(error);
    } finally {
      countHop(facts, Date.now() - startedMs);
    }
    return this.invokeHere(namespace, call, request, facts);
  }

  async #versionOf(namespace: string, script: string): Promise<string> {
    const known = this.#scripts.get(namespace, script);
    const { versionId } = known ?? this.accept(await this.#hub.resolve(namespace, script));
    if (versionId === null) throw workerNotFound(namespace, script);
    return versionId;
  }

  /** Takes a state that the hub answered or pushed; returns the one that holds. */
  accept(state: ScriptState): ScriptState {
    const { current, superseded } = this.#scripts.accept(state);
    if (superseded !== null) this.#isolates.supersede(superseded);
    return current;
  }

  /** undefined: there may be another version now, or the load that this one waited for failed; try again. */
  async #load(namespace: string, script: string, versionId: string, mayTryAgain: boolean) {
    try {
      return await this.#isolates.load(versionId);
    } catch (error) {
      if (error instanceof UnavailableError) throw error;
      if (error instanceof VersionGoneError) {
        this.accept(await this.#hub.resolve(namespace, script));
        return undefined;
      }
      const { message, stack } = error as Error;
      if (message.startsWith("Failed to start Worker")) throw remoteError("Error", message, stack);
      if (mayTryAgain) return undefined;
      throw new UnavailableError(message, { cause: error });
    }
  }
}

function entrypointOptions(call: DispatchCall): WorkerStubEntrypointOptions | undefined {
  const limits = call.options?.limits;
  if (call.args === undefined && limits === undefined) return undefined;
  return { props: call.args, limits } as WorkerStubEntrypointOptions;
}

/** What the hop to the home edge took counts as part of finding a place. */
function countHop(facts: InvocationFacts, elapsedMs: number): void {
  if (facts.cold === undefined) return;
  const { fetch, load, first } = facts.cold;
  facts.cold = { place: Math.max(0, elapsedMs - fetch - load - first), fetch, load, first };
}

/**
 * Whether the peer cannot have seen the request. A peer that died with it is `Network connection lost`;
 * one whose socket is not there is an `internal error` without properties.
 */
function neverConnected(error: unknown): boolean {
  const { message = "", remote } = error as Error & { remote?: boolean };
  return remote !== true && /internal error/i.test(message);
}

/** A dead home edge is not the function's exception. */
function lost(error: unknown): unknown {
  const { message = "", remote } = error as Error & { remote?: boolean };
  if (remote === true || !/network connection lost/i.test(message)) return error;
  return new UnavailableError("the edge that ran this request was lost", { cause: error });
}
