/**
 * The Worker beside a script with Durable Objects, in a cell of its own: its gate. The script is no isolate of a loader,
 * but a Worker of the cell's configuration (src/supervisor/stateful/), with the runtime's own bindings; whatever comes
 * in and goes out passes here. Edges call it as they call any cell, and find the one version that it has loaded.
 */
import { env as bindings, RpcTarget, waitUntil, WorkerEntrypoint } from "cloudflare:workers";
import type { EventType } from "../protocol/events.ts";
import { answer, answerError, answerMissing, CALL_HEADER, receive } from "../protocol/hop.ts";
import type { CellCall } from "../protocol/hop.ts";
import type { CellLoad, EdgeHealth } from "../protocol/hub.ts";
import type { ObjectAddress } from "../protocol/objects.ts";
import { relayed, type Relay } from "../protocol/relay.ts";
import {
  aimed,
  isAlarm,
  objectsBinding,
  START,
  type StartModule,
  type StatefulGate,
} from "../protocol/stateful.ts";
import { TraceBuffer } from "../protocol/trace-buffer.ts";
import type { WorkflowCellCall } from "../protocol/workflows.ts";
import { renewAllowance } from "./allowances.ts";
import { connectBindings } from "./bindings.ts";
import { callsThroughEgress, sendTraces } from "./calls-through-egress.ts";
import { Deadlines } from "./deadlines.ts";
import { callHandler, eventHandlers } from "./events.ts";
import { accounted } from "./invocation.ts";
import { Isolate } from "./isolate.ts";
import { Ledger } from "./ledger.ts";
import { Outbound, type OutboundProps } from "./outbound.ts";
import { callMethod } from "./rpc.ts";
import { traceEvents } from "./trace.ts";
import { administer } from "./workflow-calls.ts";

export { SkepAssets } from "./assets.ts";
export { SkepAnalytics, SkepDispatcher, SkepRateLimit, SkepService } from "./bindings.ts";
export { SkepObjects } from "./objects-binding.ts";
export { SkepStore } from "./store-binding.ts";

interface StatefulEnv {
  /** The script's default export. */
  readonly FUNCTION: Fetcher;
  /** Its start module, which calls other exports, and with props (protocol/stateful.ts). */
  readonly START: Fetcher;
  readonly EGRESS: Fetcher;
  readonly STORE: Fetcher;
  readonly DATABASES: Fetcher;
  readonly LEDGER_KEY: string;
  readonly CELL: StatefulGate;
  /** By objectsBinding(key). */
  readonly [objects: string]: unknown;
}

/** Close code of WebSockets. */
const SERVICE_RESTART = 1012;

const env = bindings as unknown as StatefulEnv;
const { life, namespace, script, versionId, limits, classes, traceGrant } = env.CELL;

connectBindings(callsThroughEgress(env.EGRESS, env.STORE, env.DATABASES));

/** Of what a Worker of the configuration takes nobody has to guess: nothing is ended for it. */
const UNKNOWN = { isPinned: false, isUncountable: true, bundleBytes: 0 };
const of = { versionId, id: versionId, key: versionId, ...UNKNOWN };
/** Made at once: the supervisor looks for it when the process has started. */
const ledger = new Ledger(env.LEDGER_KEY);
/** There is no time before the first event. */
const NEVER = 0;
const isolate = new Isolate(ledger, of, NEVER);
renewAllowance(versionId, limits.subrequests);
const deadlines = new Deadlines((task) => waitUntil(task));

/** As of the latest call: a Worker of a configuration cannot be loaded anew for whoever calls it otherwise. */
let outbound = env.CELL.outbound;
let isTraced = false;
const relays = new Set<Relay>();
/** Of Workflows. */
let stepsUnderWay = 0;
let isFirst = true;
/** Those of the script's default export, once somebody had to know. */
let handlers: readonly string[] | undefined;

export default {
  async fetch(request) {
    if (request.headers.has(CALL_HEADER)) return invoke(request);
    const { pathname, searchParams } = new URL(request.url);
    const isMeant = (searchParams.get("life") ?? String(life)) === String(life);
    switch (`${request.method} ${pathname}`) {
      case "GET /has": {
        const asked = searchParams.get("isolate") ?? "";
        return new Response(null, {
          status: isMeant && (asked === "" || isOwn(asked)) ? 204 : 409,
        });
      }
      case "POST /load": {
        // For a version that this is not the cell of.
        await request.body?.cancel();
        if (!isMeant) return new Response("this cell was replaced", { status: 409 });
        return Response.json({ ok: true, loadMs: 0 } satisfies CellLoad);
      }
      default:
        return new Response(`no such call: ${request.method} ${pathname}`, { status: 404 });
    }
  },
} satisfies ExportedHandler;

/** The way out of the script. */
class StatefulOutbound extends Outbound {
  protected override get target(): OutboundProps {
    const { outbound: _, ...props } = this.ctx.props;
    return outbound === undefined ? props : { ...props, outbound };
  }
}
export { StatefulOutbound as Outbound };

const traces = new TraceBuffer(([batch]) =>
  batch === undefined ? Promise.resolve() : sendTraces(env.EGRESS, batch, traceGrant),
);

/** Where the runtime tells what became of each invocation. Nobody else hears of alarms. */
export class Tail extends WorkerEntrypoint {
  override tail(items: TraceItem[]): void {
    isolate.lastUsedMs = Date.now();
    // Calls of objects by their own script are seen here only, and may go on for long without any input or output.
    ledger.pass();
    const told = items.filter(
      ({ entrypoint, event }) => entrypoint !== START && (isTraced || isAlarm(event)),
    );
    if (told.length === 0) return;
    const events = traceEvents(told, { namespace, script, versionId }, Date.now());
    traces.add(namespace, script, events, 0, (work) => this.ctx.waitUntil(work));
  }
}

/** Where the engine of Workflows tells of each attempt of a step: it goes on until what `begin` returns is disposed of. */
export class Steps extends WorkerEntrypoint {
  begin(): StepUnderWay {
    return new StepUnderWay();
  }
}

class StepUnderWay extends RpcTarget {
  constructor() {
    super();
    stepsUnderWay++;
    mark();
  }
  [Symbol.dispose](): void {
    stepsUnderWay--;
    mark();
  }
}

function mark(): void {
  isolate.lastUsedMs = Date.now();
  ledger.pass();
}

export class CellControl extends WorkerEntrypoint {
  override async fetch(request: Request): Promise<Response> {
    const { pathname } = new URL(request.url);
    switch (`${request.method} ${pathname}`) {
      case "POST /heartbeat": {
        const isBusy = isolate.underWay > 0 || relays.size > 0 || stepsUnderWay > 0;
        const { lastUsedMs } = isolate;
        const idleMs = isBusy ? 0 : Date.now() - lastUsedMs;
        const health: EdgeHealth = { loadedIsolates: 1, ...(lastUsedMs !== NEVER && { idleMs }) };
        return Response.json(health);
      }
      case "POST /hang-up":
        for (const relay of relays) relay.close(SERVICE_RESTART, "the Worker was replaced");
        return new Response(null, { status: 204 });
      case "POST /workflows":
        mark();
        return Response.json(await administer(env, await request.json<WorkflowCellCall>()));
      default:
        return new Response(`no such call: ${request.method} ${pathname}`, { status: 404 });
    }
  }
}

/** Of the version, however it is to be called. */
function isOwn(isolateId: string): boolean {
  return isolateId === versionId || isolateId.startsWith(`${versionId}~`);
}

async function invoke(forwarded: Request): Promise<Response> {
  const { call, request, finish } = receive<CellCall>(forwarded);
  if (call.versionId !== versionId) return await finish(answerMissing());
  const startedMs = Date.now();
  const isCold = isFirst;
  isFirst = false;
  outbound = call.variant?.outbound;
  isTraced = call.variant?.traced === true;
  let facts: Parameters<typeof answer>[1] = { versionId };
  try {
    const { limits: own, via } = call;
    const response = await accounted(
      send(call, request),
      isolate,
      own,
      via,
      deadlines,
      startedMs,
      () => undefined,
    );
    // What came before is the edge's to tell.
    const first = Date.now() - startedMs;
    if (isCold) facts = { versionId, cold: { place: 0, fetch: 0, load: 0, first } };
    return await finish(answer(counted(response), facts));
  } catch (error) {
    return await finish(answerError(error, facts));
  }
}

function send(call: CellCall, request: Request): Promise<Response> {
  const { rpc, event, object, variant } = call;
  if (variant?.parameters !== undefined) {
    throw new Error(
      "a Worker with Durable Objects gets no parameters as an outbound Worker; " +
        "let another Worker take them and call this one",
    );
  }
  if (object !== undefined) {
    const stub = stubOf(object);
    return rpc === undefined ? stub.fetch(request) : callMethod(stub, rpc, request);
  }
  if (event !== undefined) return handle(event, request);
  const { entrypoint, args: props } = call;
  if (entrypoint === undefined && isEmpty(props)) {
    return rpc === undefined ? env.FUNCTION.fetch(request) : callMethod(env.FUNCTION, rpc, request);
  }
  const isObject = classes.some(({ className }) => className === entrypoint);
  if (isObject || entrypoint === START) {
    throw new Error(`Worker has no such entrypoint: ${entrypoint}`);
  }
  const aim = { ...(entrypoint !== undefined && { entrypoint }), props: props ?? {} };
  if (rpc === undefined) return env.START.fetch(aimed(request, aim));
  const start = env.START as unknown as StartModule;
  const method = (...args: readonly unknown[]) => start.call(aim, rpc, args);
  return callMethod({ [rpc]: method } as unknown as Fetcher, rpc, request);
}

async function handle(event: EventType, request: Request): Promise<Response> {
  handlers ??= await (env.START as unknown as StartModule).handlers();
  return callHandler(env.FUNCTION, event, request, eventHandlers(handlers));
}

function isEmpty(props: CellCall["args"]): boolean {
  return props === undefined || Object.keys(props).length === 0;
}

function stubOf({ key, id, name }: ObjectAddress): Fetcher {
  const objects = env[objectsBinding(key)] as DurableObjectNamespace | undefined;
  if (objects === undefined)
    throw new Error("the Worker has no such Durable Object class any more");
  const named = name === undefined ? objects.idFromString(id) : objects.idFromName(name);
  if (String(named) !== id) throw new TypeError(`${id} is not the id of that name`);
  return objects.get(named) as unknown as Fetcher;
}

/** A WebSocket keeps the cell alive, however quiet it is: where it hibernates, nothing else is to be seen of it. */
function counted(response: Response): Response {
  return relayed(response, (relay) => {
    relays.add(relay);
    return () => {
      relays.delete(relay);
      isolate.lastUsedMs = Date.now();
    };
  });
}
