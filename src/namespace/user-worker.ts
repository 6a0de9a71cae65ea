/**
 * What `DispatchNamespace.get()` returns, behind every back end of ours: a Fetcher for one script.
 * The back end supplies `invoke`; facts about the invocation that Cloudflare's interface has no place for
 * are left on the object under a symbol, where only our own dispatcher looks for them.
 */
import type { EventType } from "../protocol/events.ts";
import type { ObjectAddress } from "../protocol/objects.ts";
import type { OutboundParameters, OutboundWorker } from "../protocol/outbound.ts";
import type { ColdStart } from "../protocol/telemetry.ts";
import type { TracedHandler } from "../protocol/trace.ts";

/** Registered globally, since dispatcher and back end may be bundled apart. */
const FACTS = Symbol.for("skep.invocation");

/** Filled in by the back end while the latest `fetch` of a UserWorker runs. */
export interface InvocationFacts {
  /** Empty while no version was chosen. */
  versionId: string;
  /** Whose version it is, if the name that was called is that of a preview. */
  script?: string;
  /** Set if the invocation had to load its isolate. */
  cold?: ColdStart;
  /** What a trace event says was handled; left out: the request. */
  readonly handled?: TracedHandler;
}

/**
 * How a function was named: `host`, by its own host name; `route`, by a custom route; `dispatch`, by who dispatches.
 * The first and the last do not lead to all Workers of an account.
 */
export type CalledBy = "host" | "route" | "dispatch";

export interface DispatchCall {
  readonly script: string;
  /** The `args` of `get()`; the function finds them as `ctx.props`. */
  readonly args: Record<string, unknown> | undefined;
  readonly options: DynamicDispatchOptions | undefined;
  /** Set: it is called as an outbound Worker, with these parameters in its env. */
  readonly asOutbound?: OutboundParameters;
  /** Absent: by a binding, or as an outbound Worker. */
  readonly by?: CalledBy;
  /** Gets its fetches, instead of the namespace's outbound Worker. */
  readonly outbound?: OutboundWorker;
  /** Left out: the default export. */
  readonly entrypoint?: string;
  /** RPC: the method to call with what the request's body says (protocol/structured.ts). Left out: `fetch`. */
  readonly rpc?: string;
  /** The handler that is called. The request is none of a client: its body says what for (cell/events.ts). Left out: `fetch`. */
  readonly event?: EventType;
  /** Whose `fetch`, or with `rpc` whose method, is called; `script` has its class. */
  readonly object?: ObjectAddress;
}

/** Rejects with `Worker not found…` if there is no such script. */
export type Invoke = (
  call: DispatchCall,
  request: Request,
  facts: InvocationFacts,
) => Promise<Response>;

class UserWorker {
  readonly #call: DispatchCall;
  readonly #invoke: Invoke;
  [FACTS]: InvocationFacts | undefined;

  constructor(call: DispatchCall, invoke: Invoke) {
    this.#call = call;
    this.#invoke = invoke;
  }

  fetch(input: RequestInfo | URL, init?: RequestInit): Promise<Response> {
    const request =
      input instanceof Request && init === undefined ? input : new Request(input, init);
    const facts: InvocationFacts = { versionId: "" };
    this[FACTS] = facts;
    return this.#invoke(this.#call, request, facts);
  }

  connect(): never {
    throw new TypeError("connect() to a user Worker is not supported; call fetch()");
  }
}

/** Throws a TypeError if these outbound parameters cannot be passed. */
export type CheckOutbound = (script: string, given: Record<string, unknown>) => void;

const refuseOutbound: CheckOutbound = (script) => {
  throw new TypeError(
    `outbound parameters were given for "${script}", but this dispatch namespace has no outbound Worker`,
  );
};

/** A DispatchNamespace over one way to invoke a script by name. */
export function createDispatchNamespace(
  invoke: Invoke,
  checkOutbound: CheckOutbound = refuseOutbound,
  by: CalledBy = "dispatch",
): DispatchNamespace {
  return {
    get(script, args, options) {
      if (typeof script !== "string" || script === "") {
        throw new TypeError(`the script name must be a non-empty string, got ${String(script)}`);
      }
      if (options?.outbound !== undefined) checkOutbound(script, options.outbound);
      return new UserWorker({ script, args, options, by }, invoke) as unknown as Fetcher;
    },
  };
}

/** Facts of the latest `fetch` of a Fetcher; undefined on Cloudflare, whose Fetchers carry none. */
export function factsOf(worker: Fetcher): InvocationFacts | undefined {
  return (worker as unknown as UserWorker)[FACTS];
}
