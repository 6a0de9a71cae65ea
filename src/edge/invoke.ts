/**
 * The way of a request inside an edge: find the script, see whether it may begin, call it where it runs.
 *
 * A function that is proven, and loaded here, takes `invoke` and `#run` only. The others go on to their home
 * edge (call-edge.ts) or to a cell (call-cell.ts).
 */
import { workerNotFound } from "../protocol/dispatch-errors.ts";
import type { PeerCall } from "../protocol/hop.ts";
import type { ObjectAddress, ObjectOwner } from "../protocol/objects.ts";
import type { ScriptState } from "../protocol/routing.ts";
import {
  isolateId,
  outboundVariant,
  refuseUndeclared,
  type OutboundTarget,
} from "../protocol/outbound.ts";
import type { Isolates } from "../cell/isolates.ts";
import { chooseShare } from "../namespace/choose-share.ts";
import type { ScriptEntry } from "../namespace/script-entry.ts";
import type { ScriptTable } from "../namespace/script-table.ts";
import type { DispatchCall, InvocationFacts } from "../namespace/user-worker.ts";
import type { Assets } from "./assets/assets.ts";
import { refusalOf } from "./admission.ts";
import { boundRequest, boundResponse } from "./body-limits.ts";
import type { CellCalls } from "./call-cell.ts";
import type { EdgeCalls } from "./call-edge.ts";
import { optionsOf, TRUSTED_CF, type EdgeCall } from "./edge-call.ts";
import { viaOf, withoutChain } from "./hairpin.ts";
import type { Traces } from "./traces.ts";
import { isPlain, variantOf } from "./variant.ts";

export interface InvokerOptions {
  readonly scripts: ScriptTable;
  readonly isolates: Isolates;
  readonly assets: Assets;
  readonly edges: EdgeCalls;
  readonly cells: CellCalls;
  readonly edgeCount: number;
  readonly traces: Pick<Traces, "ended">;
  /** Asks the hub, and takes its answer. */
  readonly resolve: (namespace: string, script: string) => Promise<ScriptEntry>;
  /** Which script has this class of Durable Objects now, as far as the hub has to be asked; null: none. */
  readonly ownerOf: (key: string) => Promise<ObjectOwner | null>;
}

export class Invoker {
  readonly #options: InvokerOptions;
  readonly #scripts: ScriptTable;
  readonly #isolates: Isolates;

  constructor(options: InvokerOptions) {
    this.#options = options;
    this.#scripts = options.scripts;
    this.#isolates = options.isolates;
  }

  invoke(
    namespace: string,
    dispatch: DispatchCall,
    request: Request,
    facts: InvocationFacts,
  ): Promise<Response> {
    const entry = this.#scripts.get(namespace, dispatch.script);
    if (entry !== undefined) return this.#admit(entry, dispatch, request, facts);
    if (namespace.length > MAX_NAME_LENGTH || dispatch.script.length > MAX_NAME_LENGTH) {
      return Promise.reject(workerNotFound(cut(namespace), cut(dispatch.script)));
    }
    return this.#options
      .resolve(namespace, dispatch.script)
      .then((resolved) => this.#admit(resolved, dispatch, request, facts));
  }

  /** Who gets what the functions of a namespace fetch; undefined: it goes where its URL says. */
  async outboundOf(namespace: string, script: string): Promise<OutboundTarget | undefined> {
    const entry =
      this.#scripts.get(namespace, script) ?? (await this.#options.resolve(namespace, script));
    return entry.outbound && (await outboundVariant(entry.outbound)).outbound;
  }

  /** Throws as `invoke` would reject, if it is known already what the namespace's outbound Worker takes. */
  checkOutbound(namespace: string, script: string, given: Record<string, unknown>): void {
    const entry = this.#scripts.get(namespace, script);
    if (entry === undefined || entry.state.versionId === null) return;
    refuseUndeclared(entry.outbound, given, entry.state);
  }

  /** As `invoke`, for requests that a peer admitted and forwarded: never forwards to a peer again. */
  async invokeForwarded(
    peerCall: PeerCall,
    request: Request,
    facts: InvocationFacts,
  ): Promise<Response> {
    const { namespace, script, via, versionId } = peerCall;
    const whole =
      this.#scripts.get(namespace, script) ?? (await this.#options.resolve(namespace, script));
    // One that is not among them was deployed, or replaced, a moment ago.
    const entry = whole.shares?.find((share) => share.state.versionId === versionId) ?? whole;
    const { edges } = this.#options;
    const call = {
      entry,
      dispatch: peerCall,
      variant: await variantOf(entry, peerCall),
      via,
      request: prepared(entry, request),
      signal: undefined,
      facts,
    };
    return this.#place(call, () => edges.callHere(call));
  }

  async #admit(
    whole: ScriptEntry,
    dispatch: DispatchCall,
    original: Request,
    facts: InvocationFacts,
  ): Promise<Response> {
    const entry = whole.shares === undefined ? whole : chooseShare(whole, original.headers);
    const { state } = entry;
    const { versionId, namespace, script } = state;
    if (versionId === null || !isReachable(state, dispatch))
      throw workerNotFound(namespace, script);
    const { object } = dispatch;
    if (object !== undefined && !hasClass(state, object)) {
      return this.#follow(state, dispatch, object, original, facts);
    }
    if (state.previewOf !== undefined) facts.script = state.previewOf;
    if (state.assets !== undefined && isForScript(dispatch)) {
      // It is no invocation: nothing runs, so no limit holds, and it says nothing about the version's conduct.
      const asset = await this.#options.assets.serve(state.assets, original);
      if (asset !== undefined) return withoutOurs(asset);
    }
    facts.versionId = versionId;
    const via = viaOf(original);
    const startedMs = Date.now();
    const refusal = refusalOf(entry, via, this.#options.edgeCount, startedMs);
    if (refusal !== undefined) throw refusal;
    const chained = via.length === 0 ? original : withoutChain(original);
    const { request, signal } = boundRequest(entry, prepared(entry, chained));
    const usage = entry.namespaceUsage;
    whole.underWay++;
    usage.underWay++;
    try {
      const variant = isPlain(entry, dispatch) ? undefined : await variantOf(entry, dispatch);
      const id = variant === undefined ? versionId : isolateId(versionId, variant);
      const warm =
        entry.place === "edge"
          ? this.#isolates.invoke(id, request, optionsOf(entry, dispatch, via))
          : undefined;
      const response = await (warm ??
        this.#cold({ entry, dispatch, variant, via, request, signal, facts }));
      return boundResponse(entry, request, withoutOurs(response));
    } catch (error) {
      const reason: unknown = signal?.aborted === true ? signal.reason : error;
      if (entry.isTraced) {
        this.#options.traces.ended(entry, request, facts, startedMs, reason);
      }
      throw reason;
    } finally {
      whole.underWay--;
      usage.underWay--;
    }
  }

  /** Whoever has a binding to a class knows which script had it when the binding was made. */
  async #follow(
    { namespace, script }: ScriptState,
    dispatch: DispatchCall,
    object: ObjectAddress,
    request: Request,
    facts: InvocationFacts,
  ): Promise<Response> {
    const owner = await this.#options.ownerOf(object.key);
    if (owner?.namespace !== namespace) throw noClass(script);
    const known = this.#scripts.get(namespace, owner.script);
    const entry =
      known !== undefined && hasClass(known.state, object)
        ? known
        : await this.#options.resolve(namespace, owner.script);
    if (!hasClass(entry.state, object)) throw noClass(script);
    facts.script = owner.script;
    return this.#admit(entry, { ...dispatch, script: owner.script }, request, facts);
  }

  #cold(call: EdgeCall): Promise<Response> {
    return this.#place(call, () => this.#options.edges.call(call));
  }

  /** The function may move while its request is on its way. */
  async #place(call: EdgeCall, inEdges: () => Promise<Response | undefined>): Promise<Response> {
    for (;;) {
      const response = await (call.entry.place === "edge"
        ? inEdges()
        : this.#options.cells.call(call));
      if (response !== undefined) return response;
    }
  }
}

/** Names come from clients and from functions that dispatch; so long ones are not asked for, nor remembered. */
const MAX_NAME_LENGTH = 255;

function cut(name: string): string {
  return name.length > MAX_NAME_LENGTH ? `${name.slice(0, MAX_NAME_LENGTH)}…` : name;
}

/** For all that its version has, not for its code alone. */
function isForScript({ entrypoint, rpc, event, object, asOutbound }: DispatchCall): boolean {
  const isRequest = rpc === undefined && event === undefined && object === undefined;
  return isRequest && entrypoint === undefined && asOutbound === undefined;
}

function hasClass({ objectKeys }: ScriptState, { key }: ObjectAddress): boolean {
  return objectKeys?.includes(key) === true;
}

function noClass(script: string): Error {
  return new Error(`the Worker "${script}" has no such Durable Object class any more`);
}

/** Host names and dispatchers do not lead to all Workers of an account; routes and bindings do. */
function isReachable({ workersDev, isAccountWorker }: ScriptState, { by }: DispatchCall): boolean {
  if (by === "host") return workersDev !== false;
  return by !== "dispatch" || isAccountWorker !== true;
}

/** As the function sees it, apart from what its place does to it. */
function prepared({ state }: ScriptEntry, request: Request): Request {
  return state.trusted === true ? new Request(request, { cf: TRUSTED_CF }) : request;
}

/** Headers by which clients tell an error of the platform from one of the function, which may not set them. */
const OURS = ["x-skep-error", "x-skep-outcome", "x-skep-egress-error"] as const;

function withoutOurs(response: Response): Response {
  // To look at the headers of every answer would cost more than the rest of this file.
  if (response.status < 400) return response;
  const { headers } = response;
  if (!OURS.some((name) => headers.has(name))) return response;
  const copy = new Response(response.body, response);
  for (const name of OURS) copy.headers.delete(name);
  return copy;
}
