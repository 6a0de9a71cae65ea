/**
 * The trusted side of bindings that are objects with methods: entrypoints in the process that holds the isolate,
 * which finds stubs of them in its env. What each may do stands in its props, which only this process can make. The
 * main module of a process that holds isolates exports them all, and says once how calls leave it (`connectBindings`).
 */
import { WorkerEntrypoint } from "cloudflare:workers";
import {
  MAX_BLOBS,
  MAX_BLOB_BYTES,
  MAX_DOUBLES,
  MAX_INDEX_BYTES,
  type DataPoint,
} from "../protocol/analytics.ts";
import type {
  AnalyticsValue,
  AssetsValue,
  BindingValue,
  DispatchNamespaceValue,
  DurableObjectNamespaceValue,
  RateLimitValue,
  ServiceValue,
  StoreValue,
} from "../protocol/bundle.ts";
import { answerError, GET_HEADER, OUTCOME_HEADER, type PeerCall } from "../protocol/hop.ts";
import { chargeSubrequest } from "./outbound.ts";
import { isReserved, toRequest, toResult, toThrown } from "./rpc.ts";

/** Whose env it is in. */
export interface Caller {
  readonly namespace: string;
  readonly script: string;
  /** Key of the isolate. */
  readonly isolate: string;
}

/** Not forgeable: isolates.ts makes them, the runtime keeps them from the function. */
export interface BindingProps<Value = BindingValue> {
  readonly caller: Caller;
  readonly value: Value;
}

export type Bind = (value: BindingValue) => unknown;

/** Who is called, and through which functions: the caller is the last of `via`. */
export type BoundCall = Omit<PeerCall, "method">;

/** How what functions ask of the platform gets to it from this process. */
export interface BindingCalls {
  /** Rejects as the call of a dispatcher would. */
  dispatch(
    caller: Caller,
    value: ServiceValue | DispatchNamespaceValue | DurableObjectNamespaceValue,
    call: BoundCall,
    request: Request,
    ctx: ExecutionContext,
  ): Promise<Response>;
  /** False: there were as many calls with this key as the limit allows. */
  limit(caller: Caller, value: RateLimitValue, key: string): Promise<boolean>;
  /** Takes a data point, which is stored later. */
  write(caller: Caller, value: AnalyticsValue, point: DataPoint): Promise<void>;
  asset(
    caller: Caller,
    value: AssetsValue,
    via: readonly string[],
    request: Request,
  ): Promise<Response>;
  /** In the wire protocol of the binding's kind; says in the request whose call it is (protocol/store.ts). */
  store(caller: Caller, value: StoreValue, request: Request): Promise<Response>;
}

let connected: BindingCalls | undefined;

export function connectBindings(calls: BindingCalls): void {
  connected = calls;
}

export function calls(): BindingCalls {
  if (connected === undefined) throw new Error("bindings were not connected");
  return connected;
}

/** What the runtime offers of the main module. */
interface OwnExports {
  SkepService(options: { props: BindingProps<ServiceValue> }): Fetcher;
  SkepDispatcher(options: { props: BindingProps<DispatchNamespaceValue> }): Fetcher;
  SkepRateLimit(options: { props: BindingProps<RateLimitValue> }): Fetcher;
  SkepAnalytics(options: { props: BindingProps<AnalyticsValue> }): Fetcher;
  SkepAssets(options: { props: BindingProps<AssetsValue> }): Fetcher;
  SkepStore(options: { props: BindingProps<StoreValue> }): Fetcher;
  SkepObjects(options: { props: BindingProps<DurableObjectNamespaceValue> }): Fetcher;
}

/** `exports` of `cloudflare:workers`. */
export function bindWith(exports: unknown): (props: BindingProps) => unknown {
  const own = exports as OwnExports;
  return ({ caller, value }) => {
    switch (value.type) {
      case "service":
        return own.SkepService({ props: { caller, value } });
      case "dispatch-namespace":
        return own.SkepDispatcher({ props: { caller, value } });
      case "rate-limit":
        return own.SkepRateLimit({ props: { caller, value } });
      case "analytics":
        return own.SkepAnalytics({ props: { caller, value } });
      case "assets":
        return own.SkepAssets({ props: { caller, value } });
      case "kv":
      case "r2":
      case "d1":
      case "queue":
        return own.SkepStore({ props: { caller, value } });
      case "durable-object-namespace":
        return own.SkepObjects({ props: { caller, value } });
    }
  };
}

/** A binding to a service: `fetch`, and by any other name a method of the callee. */
export class SkepService extends WorkerEntrypoint<unknown, BindingProps<ServiceValue>> {
  constructor(ctx: ExecutionContext<BindingProps<ServiceValue>>, env: unknown) {
    super(ctx, env);
    const { caller, value } = ctx.props;
    const { namespace, script, entrypoint, props: args } = value;
    const send = (request: Request, method: { rpc?: string }) => {
      const via = chargeSubrequest(caller);
      const call = { namespace, script, args, options: undefined, via, ...method };
      const target = entrypoint === undefined ? call : { ...call, entrypoint };
      return calls().dispatch(caller, value, target, request, ctx);
    };
    const members = new Map<string, unknown>([
      ["fetch", (request: Request) => send(request, {}).catch(rethrow)],
    ]);
    // Nothing of this object itself is within reach: what is not a method of the callee is not there.
    return new Proxy(this, {
      get(_, name) {
        if (typeof name !== "string") return undefined;
        if (members.has(name) || isReserved(name)) return members.get(name);
        return async (...given: readonly unknown[]) => {
          try {
            return await toResult(await send(toRequest(name, given), { rpc: name }));
          } catch (error) {
            throw toThrown(error);
          }
        };
      },
    });
  }
}

function rethrow(error: unknown): never {
  throw toThrown(error);
}

/**
 * A binding to a dispatch namespace: the shim (worker-code.ts) sends what `get` was given with each request, and throws
 * what the outcome header says.
 */
export class SkepDispatcher extends WorkerEntrypoint<
  unknown,
  BindingProps<DispatchNamespaceValue>
> {
  override async fetch(request: Request): Promise<Response> {
    const { caller, value } = this.ctx.props;
    const { script, args, options } = JSON.parse(
      decodeURIComponent(request.headers.get(GET_HEADER) ?? "{}"),
    ) as Partial<BoundCall>;
    if (typeof script !== "string") throw new TypeError("call get() with the name of a script");
    const via = chargeSubrequest(caller);
    const { namespace, outbound } = value;
    const call = { namespace, script, args, options, via, by: "dispatch" as const };
    const bound = outbound === undefined ? call : { ...call, outbound };
    try {
      const response = await calls().dispatch(caller, value, bound, request, this.ctx);
      return response.headers.has(OUTCOME_HEADER) ? withoutOutcome(response) : response;
    } catch (error) {
      // The runtime would hand on no more than name and message, and say that a function threw it.
      return answerError(error, { versionId: "" });
    }
  }
}

/** The called function made it up. */
function withoutOutcome(response: Response): Response {
  const { webSocket, status, statusText, body } = response;
  const headers = new Headers(response.headers);
  headers.delete(OUTCOME_HEADER);
  return new Response(body, { status, statusText, headers, webSocket });
}

const MAX_KEY_CHARACTERS = 1_024;

export class SkepRateLimit extends WorkerEntrypoint<unknown, BindingProps<RateLimitValue>> {
  async limit(options: unknown): Promise<{ success: boolean }> {
    const key: unknown = (options as { key?: unknown } | null | undefined)?.key;
    if (typeof key !== "string" || key.length > MAX_KEY_CHARACTERS) {
      throw new TypeError(
        `limit() takes { key } with a string of at most ${MAX_KEY_CHARACTERS} characters`,
      );
    }
    const { caller, value } = this.ctx.props;
    chargeSubrequest(caller);
    return { success: await calls().limit(caller, value, key) };
  }
}

/** A binding to a dataset: the shim (shims.ts) checks what a function writes, and brings it into this shape. */
export class SkepAnalytics extends WorkerEntrypoint<unknown, BindingProps<AnalyticsValue>> {
  async write(point: unknown): Promise<void> {
    const { caller, value } = this.ctx.props;
    const checked = toDataPoint(point);
    chargeSubrequest(caller);
    await calls().write(caller, value, checked);
  }
}

/** Once more: a function may come here without its shim. */
function toDataPoint(point: unknown): DataPoint {
  const { blobs, doubles, index } = point as DataPoint;
  const texts = [...blobs, index].filter((text) => text !== null);
  const isValid =
    Array.isArray(blobs) &&
    Array.isArray(doubles) &&
    texts.every((text) => typeof text === "string") &&
    doubles.every((double) => typeof double === "number") &&
    blobs.length <= MAX_BLOBS &&
    doubles.length <= MAX_DOUBLES &&
    texts.reduce((sum, text) => sum + text.length, 0) <= MAX_BLOB_BYTES + MAX_INDEX_BYTES;
  if (!isValid) throw new TypeError("this is no data point");
  return { blobs, doubles, index };
}
