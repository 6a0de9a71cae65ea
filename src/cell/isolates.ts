/**
 * The isolates of one process: loads a version once, and each variant of it, calls it, ends isolates that were
 * superseded, that idle or that no budget has room for. workerd itself never ends a named isolate, and a process
 * dies at a few thousand.
 *
 * Ending an isolate loses its `waitUntil` work, so none ends before that is settled, or before WAIT_UNTIL_MS
 * after its last use, when it had its time. Responses and WebSockets that are under way finish in any case.
 */
import type { BindingValue, Bundle } from "../protocol/bundle.ts";
import { UnavailableError } from "../protocol/dispatch-errors.ts";
import type { EventType } from "../protocol/events.ts";
import type { InvocationLimits } from "../protocol/hop.ts";
import { STARTUP_CPU_MS, WAIT_UNTIL_MS } from "../protocol/limits.ts";
import { isolateId, type Variant } from "../protocol/outbound.ts";
import type { BindingProps } from "./bindings.ts";
import { evict, mark, pending, ready } from "./control.ts";
import { Deadlines, type Background, type Started } from "./deadlines.ts";
import { accounted } from "./invocation.ts";
import { callHandler, eventHandlers } from "./events.ts";
import { Isolate } from "./isolate.ts";
import type { KeepAlive } from "./keep-alive.ts";
import type { Ledger } from "./ledger.ts";
import type { OutboundProps } from "./outbound.ts";
import { callMethod } from "./rpc.ts";
import type { TailProps } from "./trace.ts";
import { mayImportWaitUntil, toWorkerCode } from "./worker-code.ts";
import { CONTROL_ENTRYPOINT } from "./wrapper.ts";

/** workerd aborts at 2,000 to 4,000 live trivial isolates. */
const MOST_ISOLATES = 1_000;
const DEFAULT_ISOLATES = 500;
const DEFAULT_BYTES = 1024 * 1024 * 1024;

/** However young, superseded isolates beyond this many are ended, oldest first. */
const MAX_SUPERSEDED = 100;

/** Of one version. A dispatcher may pass other parameters with each request, and must not push all others out. */
const MAX_VARIANTS = 50;

/** Of how many versions the number of tries is remembered; far more than can be superseded or failing. */
const MAX_ATTEMPTS = 10_000;

/** The keep-alive policy hears of a version's calls at most this often. */
const TELL_INTERVAL_MS = 1_000;

/** So long an isolate with background work is not asked again. */
const ASK_INTERVAL_MS = 250;

/** An isolate that was loaded or used this lately stays, since another call is likely to be on its way. */
const MIN_IDLE_MS = 1_000;

/** A load whose caller is gone may never be heard of again; after this long it counts as ended. */
const LOAD_WALL_MS = 30_000;

/** Whose isolate it is. */
export interface IsolateOwner {
  readonly namespace: string;
  readonly script: string;
  /** More than 0: stays loaded however idle it is. */
  readonly minWarm?: number;
  /** Left out: the plain version. */
  readonly variant?: Variant | undefined;
}

export interface IsolatesOptions {
  readonly loader: WorkerLoader;
  readonly ledger: Ledger;
  readonly keepAlive: KeepAlive;
  /** The way out of a new isolate: `(props) => exports.Outbound({ props })`; null: none. */
  readonly outbound: (props: OutboundProps) => Fetcher | null;
  /** Makes what a function finds in its env for a binding that is an object. Left out: undefined. */
  readonly bind?: (props: BindingProps) => unknown;
  /** Gets the trace events of a new isolate that is traced. Left out: nobody. */
  readonly tail?: ((props: TailProps) => Fetcher) | undefined;
  /** `waitUntil` of `cloudflare:workers`; undefined where there is none. */
  readonly background: Background | undefined;
  /**
   * Makes known which version's handlers write marker lines with this secret token; called before the isolate
   * starts. Left out: isolates write none.
   */
  readonly announce?: ((token: string, versionId: string) => void) | undefined;
  /** @default 500, never more than 1,000 */
  readonly maxIsolates?: number | undefined;
  /** Estimated memory of all isolates together. @default 1 GiB */
  readonly maxBytes?: number | undefined;
}

export interface InvokeOptions {
  /** The function finds them as `ctx.props`. */
  readonly props?: Record<string, unknown> | undefined;
  readonly limits: InvocationLimits;
  /** The functions that called each other up to here, as `namespace/script`, first one first. */
  readonly via: readonly string[];
  /** Left out: the default export. */
  readonly entrypoint?: string | undefined;
  /** RPC: the method to call with what the request's body says. Left out: `fetch`. */
  readonly rpc?: string | undefined;
  /** As in DispatchCall. */
  readonly event?: EventType | undefined;
}

export interface LoadTimes {
  /** False: another request was loading this version already, and this one waited for it. */
  readonly loadedHere: boolean;
  readonly fetchMs: number;
  readonly loadMs: number;
}

/** A version on its way to be loaded, maybe for several requests. */
interface Starting extends Started {
  readonly token: string | undefined;
  /** There once the bundle is. */
  isolate?: Isolate;
}

export class Isolates {
  readonly #options: IsolatesOptions;
  readonly #maxIsolates: number;
  readonly #maxBytes: number;
  /** By id. */
  readonly #loaded = new Map<string, Isolate>();
  readonly #deadlines: Deadlines;
  /** By key. */
  readonly #starting = new Map<string, Starting>();
  /** The loader remembers a name for ever, failed loads too; each try has a name of its own. */
  readonly #attempts = new Map<string, number>();
  /** In order of time. */
  #superseded: { readonly isolate: Isolate; readonly sinceMs: number }[] = [];
  /** Estimate for all that are loaded. */
  #bytes = 0;

  constructor(options: IsolatesOptions) {
    this.#options = options;
    this.#deadlines = new Deadlines(options.background);
    this.#maxIsolates = Math.min(options.maxIsolates ?? DEFAULT_ISOLATES, MOST_ISOLATES);
    this.#maxBytes = options.maxBytes ?? DEFAULT_BYTES;
  }

  get size(): number {
    return this.#loaded.size;
  }

  /** For how long none of them was of use; 0: one is busy, or must stay; undefined: none is loaded. */
  idleMs(nowMs: number): number | undefined {
    let least: number | undefined;
    for (const { isPinned, underWay, lastUsedMs, lastBusyMs } of this.#loaded.values()) {
      const idleMs = isPinned || underWay > 0 ? 0 : nowMs - Math.max(lastUsedMs, lastBusyMs);
      least = Math.min(least ?? idleMs, idleMs);
    }
    return least;
  }

  has(id: string): boolean {
    return this.#loaded.has(id);
  }

  /**
   * Calls the `fetch` of an isolate, by its id (protocol/outbound.ts); undefined: it is not loaded, call `load`
   * first. Rejects with what the function threw, or with a LimitError `exceededWallTime` if no response head came
   * in time; what goes on in the function then ends with the context of the caller.
   */
  invoke(
    id: string,
    request: Request,
    { props, limits, via, entrypoint, rpc, event }: InvokeOptions,
  ): Promise<Response> | undefined {
    const isolate = this.#loaded.get(id);
    if (isolate === undefined) return undefined;
    const nowMs = Date.now();
    if (nowMs - isolate.lastToldMs >= TELL_INTERVAL_MS) {
      isolate.lastToldMs = nowMs;
      this.#options.keepAlive.called(id, nowMs);
    }
    const worker = this.#worker(isolate.key);
    if (entrypoint !== undefined) this.#aimAt(entrypoint, worker);
    const target = worker.getEntrypoint(entrypoint, props && { props });
    const answer =
      event !== undefined
        ? callHandler(target, event, request, isolate.handlers)
        : rpc === undefined
          ? target.fetch(request)
          : callMethod(target, rpc, request);
    return accounted(answer, isolate, limits, via, this.#deadlines, nowMs, this.#onFailure);
  }

  /** Throws if nobody may call it. The wrapper marks calls of the default export alone. */
  #aimAt(entrypoint: string, worker: WorkerStub): void {
    if (entrypoint === CONTROL_ENTRYPOINT) {
      throw new Error(`Worker has no such entrypoint: ${entrypoint}`);
    }
    if (this.#options.announce !== undefined) mark(worker);
  }

  /**
   * Rejects with what `source` threw, with the runtime's `Failed to start Worker…`, or with an UnavailableError
   * if the process holds as many isolates as it can and none is at rest.
   */
  async load(
    versionId: string,
    source: () => Promise<Bundle>,
    of: IsolateOwner,
  ): Promise<LoadTimes> {
    const id = isolateId(versionId, of.variant);
    if (this.#loaded.has(id)) return { loadedHere: false, fetchMs: 0, loadMs: 0 };
    const startedMs = Date.now();
    if (of.variant !== undefined) this.#boundVariants(versionId);
    if (this.#held() >= MOST_ISOLATES) await this.#makeRoom(startedMs);
    const attempt = this.#attempts.get(id) ?? 0;
    const key = `${id}.${attempt}`;
    const starting = this.#starting.get(key) ?? this.#start(versionId, id, attempt, key);
    let fetchMs: number | undefined;
    let fetchError: unknown;
    const worker = this.#options.loader.get(key, async () => {
      try {
        const bundle = await source();
        fetchMs = Date.now() - startedMs;
        if (this.#starting.get(key) !== starting)
          throw new UnavailableError("loading took too long");
        const { namespace, script, variant } = of;
        starting.isolate = this.#opened(versionId, id, key, bundle, of);
        const props = { namespace, script, isolate: key };
        const target = variant?.outbound;
        const outbound = this.#options.outbound(target ? { ...props, outbound: target } : props);
        const bind = (value: BindingValue) => this.#options.bind?.({ caller: props, value });
        const code = toWorkerCode(bundle, outbound, starting.token !== undefined, bind);
        const parameters = variant?.parameters;
        const { token } = starting;
        const told = {
          namespace,
          script,
          versionId,
          ...(token !== undefined && { token }),
          ...(variant?.grant !== undefined && { grant: variant.grant }),
        };
        const traced = variant?.traced && this.#options.tail?.(told);
        return {
          ...code,
          ...(parameters !== undefined && { env: { ...code.env, ...parameters } }),
          ...(traced && { tails: [traced] }),
        };
      } catch (error) {
        // The loader would hand on the message alone.
        fetchError = error;
        throw error;
      }
    });
    try {
      const { handlers } = await ready(worker, starting.token);
      if (starting.isolate !== undefined) starting.isolate.handlers = eventHandlers(handlers);
    } catch (error) {
      if (this.#finish(key, starting)) starting.isolate?.close();
      this.#retire(id, attempt);
      throw fetchError ?? error;
    }
    if (this.#finish(key, starting) && starting.isolate !== undefined) {
      this.#add(starting.isolate);
      if (this.#isOverBudget()) {
        const trimmed = this.#trim(Date.now());
        if (this.#options.background === undefined) await trimmed;
        else this.#options.background(trimmed);
      }
    }
    return {
      loadedHere: fetchMs !== undefined,
      fetchMs: fetchMs ?? 0,
      loadMs: Date.now() - startedMs - (fetchMs ?? 0),
    };
  }

  /** The version gets no new requests here: its isolates end when nothing runs in them any more. */
  supersede(versionId: string): void {
    this.#options.keepAlive.forget(versionId);
    for (const isolate of this.#isolatesOf(versionId)) this.#supersede(isolate);
  }

  #isolatesOf(versionId: string): Isolate[] {
    return [...this.#loaded.values()].filter((isolate) => isolate.versionId === versionId);
  }

  #supersede(isolate: Isolate): void {
    this.#options.keepAlive.forget(isolate.id);
    this.#remove(isolate);
    this.#superseded.push({ isolate, sinceMs: Date.now() });
  }

  /** Ends what may end. Called at intervals, out of the request path. */
  async sweep(nowMs: number): Promise<void> {
    await this.#endSuperseded(nowMs);
    const { keepAlive } = this.#options;
    for (const isolate of this.#loaded.values()) {
      const idleMs = nowMs - isolate.lastUsedMs;
      if (isolate.isPinned || idleMs < keepAlive.keepAliveMs(isolate.id, nowMs)) continue;
      await this.#endIfAtRest(isolate, nowMs);
    }
    await this.#trim(nowMs);
  }

  /** Makes room for one more. */
  #boundVariants(versionId: string): void {
    const isolates = this.#isolatesOf(versionId).filter(({ isPinned }) => !isPinned);
    if (isolates.length < MAX_VARIANTS) return;
    this.#supersede(isolates.reduce((a, b) => (b.lastUsedMs < a.lastUsedMs ? b : a)));
  }

  #start(versionId: string, id: string, attempt: number, key: string): Starting {
    const { announce } = this.#options;
    const token = announce && crypto.randomUUID().replaceAll("-", "");
    if (token !== undefined) announce?.(token, versionId);
    const nowMs = Date.now();
    const starting: Starting = {
      token,
      deadlineMs: nowMs + LOAD_WALL_MS,
      expire: () => {
        this.#finish(key, starting);
        this.#retire(id, attempt);
        const { isolate } = starting;
        if (isolate !== undefined) this.#superseded.push({ isolate, sinceMs: starting.deadlineMs });
      },
    };
    this.#starting.set(key, starting);
    this.#deadlines.add(starting, nowMs);
    return starting;
  }

  #opened(
    versionId: string,
    id: string,
    key: string,
    bundle: Bundle,
    { minWarm = 0 }: IsolateOwner,
  ): Isolate {
    const nowMs = Date.now();
    const facts = {
      versionId,
      id,
      key,
      isPinned: minWarm > 0,
      isUncountable: mayImportWaitUntil(bundle),
      bundleBytes: bundle.modules.reduce((sum, { content }) => sum + content.byteLength, 0),
    };
    const isolate = new Isolate(this.#options.ledger, facts, nowMs);
    isolate.beginStart(STARTUP_CPU_MS, nowMs);
    return isolate;
  }

  /** False: another request has finished it, or it has expired. */
  #finish(key: string, starting: Starting): boolean {
    if (this.#starting.get(key) !== starting) return false;
    this.#starting.delete(key);
    this.#deadlines.delete(starting);
    starting.isolate?.endStart();
    return true;
  }

  #add(isolate: Isolate): void {
    isolate.lastUsedMs = Date.now();
    this.#loaded.set(isolate.id, isolate);
    this.#bytes += isolate.estimatedBytes;
  }

  #held(): number {
    return this.#loaded.size + this.#starting.size + this.#superseded.length;
  }

  async #makeRoom(nowMs: number): Promise<void> {
    await this.#endSuperseded(nowMs);
    await this.#trim(nowMs);
    if (this.#held() < MOST_ISOLATES) return;
    throw new UnavailableError(
      `this process holds ${MOST_ISOLATES} functions, none of them at rest`,
    );
  }

  async #endSuperseded(nowMs: number): Promise<void> {
    const surplus = this.#superseded.length - MAX_SUPERSEDED;
    for (const [index, { isolate, sinceMs }] of this.#superseded.entries()) {
      if (isolate.underWay > 0) continue;
      const hadItsTime = index < surplus || nowMs - sinceMs >= WAIT_UNTIL_MS;
      if (!hadItsTime && !(await this.#isAtRest(isolate, nowMs))) continue;
      const rest = this.#superseded.filter((entry) => entry.isolate !== isolate);
      if (rest.length === this.#superseded.length) continue;
      this.#superseded = rest;
      await this.#end(isolate);
    }
  }

  #isOverBudget(): boolean {
    return this.#loaded.size > this.#maxIsolates || this.#bytes > this.#maxBytes;
  }

  /** The least valuable first: idle for long, and large. */
  async #trim(nowMs: number): Promise<void> {
    if (!this.#isOverBudget()) return;
    const cost = (isolate: Isolate) => (nowMs - isolate.lastUsedMs) * isolate.estimatedBytes;
    const candidates = [...this.#loaded.values()]
      .filter(
        ({ isPinned, lastBusyMs, lastUsedMs }) =>
          !isPinned && nowMs - lastBusyMs >= ASK_INTERVAL_MS && nowMs - lastUsedMs >= MIN_IDLE_MS,
      )
      .sort((a, b) => cost(b) - cost(a));
    for (const isolate of candidates) {
      if (!this.#isOverBudget()) return;
      await this.#endIfAtRest(isolate, nowMs);
    }
  }

  async #endIfAtRest(isolate: Isolate, nowMs: number): Promise<void> {
    const { begun } = isolate;
    if (!(await this.#isAtRest(isolate, nowMs))) return;
    // While that was asked, it may have been called or ended.
    if (isolate.begun !== begun || this.#loaded.get(isolate.id) !== isolate) return;
    this.#remove(isolate);
    await this.#end(isolate);
  }

  async #isAtRest(isolate: Isolate, nowMs: number): Promise<boolean> {
    if (isolate.underWay > 0) return false;
    if (nowMs - isolate.lastUsedMs >= WAIT_UNTIL_MS) return true;
    if (isolate.isUncountable) return false;
    // Whose control entrypoint fails does no work either.
    const tasks = await pending(this.#worker(isolate.key)).catch(() => 0);
    if (tasks > 0) isolate.lastBusyMs = nowMs;
    return tasks === 0;
  }

  #remove(isolate: Isolate): void {
    this.#loaded.delete(isolate.id);
    this.#bytes -= isolate.estimatedBytes;
    // Who asks for the version again must not meet the isolate that is about to end.
    this.#retire(isolate.id, this.#attempts.get(isolate.id) ?? 0);
  }

  async #end(isolate: Isolate): Promise<void> {
    isolate.close();
    await evict(this.#worker(isolate.key));
  }

  /** One that ended by itself, by `abortIsolate`, is forgotten: the next request loads the version afresh. */
  readonly #onFailure = (isolate: Isolate, error: unknown): void => {
    if (!isGone(error) || this.#loaded.get(isolate.id) !== isolate) return;
    this.#remove(isolate);
    isolate.close();
  };

  #retire(id: string, attempt: number): void {
    this.#attempts.set(id, Math.max(attempt + 1, this.#attempts.get(id) ?? 0));
    const [oldest] = this.#attempts.keys();
    if (this.#attempts.size > MAX_ATTEMPTS && oldest !== undefined) this.#attempts.delete(oldest);
  }

  /** A stub of an isolate that is loaded under this key already. */
  #worker(key: string): WorkerStub {
    return this.#options.loader.get(key, notLoaded);
  }
}

const GONE = "the isolate is gone; the request may be sent again";

function notLoaded(): never {
  throw new Error(GONE);
}

/** A function that throws the same words does so remotely. */
function isGone(error: unknown): boolean {
  const { message, remote } = (error ?? {}) as Partial<Error> & { remote?: boolean };
  return remote !== true && message === GONE;
}
