/**
 * The Worker of a cell process: tenants' isolates and nothing else. Edges bring it bundles and invocations
 * (protocol/hub.ts, protocol/hop.ts); CellControl is for the supervisor, and for the hub's trials.
 */
import { env as bindings, exports, waitUntil, WorkerEntrypoint } from "cloudflare:workers";
import { decodeBundle } from "../protocol/bundle.ts";
import { answer, answerError, answerMissing, CALL_HEADER, receive } from "../protocol/hop.ts";
import type { CellCall } from "../protocol/hop.ts";
import type { CellLoad, EdgeHealth } from "../protocol/hub.ts";
import { ANNOUNCEMENT } from "../protocol/ledger.ts";
import { TraceBuffer } from "../protocol/trace-buffer.ts";
import { isolateId, type Variant } from "../protocol/outbound.ts";
import { bindWith, connectBindings } from "./bindings.ts";
import { callsThroughEgress, sendTraces } from "./calls-through-egress.ts";
import { Isolates } from "./isolates.ts";
import { FixedKeepAlive } from "./keep-alive.ts";
import { Ledger } from "./ledger.ts";
import type { OutboundProps } from "./outbound.ts";
import { traceEvents, type TailProps } from "./trace.ts";
import { tryStart } from "./trial.ts";

export { SkepAssets } from "./assets.ts";
export { SkepAnalytics, SkepDispatcher, SkepRateLimit, SkepService } from "./bindings.ts";
export { Outbound } from "./outbound.ts";
export { SkepObjects } from "./objects-binding.ts";
export { SkepStore } from "./store-binding.ts";

interface CellEnv {
  readonly LOADER: WorkerLoader;
  /** For Outbound. */
  readonly EGRESS: Fetcher;
  /** `store.sock`. The trial cell has none. */
  readonly STORE: Fetcher;
  /** `databases.sock`, likewise. */
  readonly DATABASES: Fetcher;
  /** Left out: nobody watches this process. */
  readonly LEDGER_KEY?: string;
  readonly CELL?: { readonly life: number; readonly maxIsolates: number };
}

/** What the runtime offers of this very module. */
interface OwnExports {
  Outbound(options: { props: OutboundProps }): Fetcher;
  Tail(options: { props: TailProps }): Fetcher;
}

const env = bindings as unknown as CellEnv;

connectBindings(callsThroughEgress(env.EGRESS, env.STORE, env.DATABASES));
const bind = bindWith(exports);

/** What a version finds in its env while it is tried: its top-level code could not call anything anyway. */
const TRIED = { namespace: "", script: "", isolate: "" };

/** Made at once: the supervisor looks for it when the process has started. */
const ledger = new Ledger(env.LEDGER_KEY);

const isolates = new Isolates({
  loader: env.LOADER,
  ledger,
  keepAlive: new FixedKeepAlive(),
  background: (task) => waitUntil(task),
  maxIsolates: env.CELL?.maxIsolates,
  outbound: (props) => (exports as unknown as OwnExports).Outbound({ props }),
  bind,
  tail: (props) => (exports as unknown as OwnExports).Tail({ props }),
  announce(token, versionId) {
    console.log(`${ANNOUNCEMENT}${env.LEDGER_KEY ?? ""} ${token} ${versionId}`);
  },
});

export default {
  async fetch(request) {
    if (request.headers.has(CALL_HEADER)) return invoke(request);
    const { pathname, searchParams } = new URL(request.url);
    switch (`${request.method} ${pathname}`) {
      case "GET /has":
        if (!isMeant(searchParams.get("life"))) return replaced();
        return new Response(null, {
          status: isolates.has(searchParams.get("isolate") ?? "") ? 204 : 404,
        });
      case "POST /load":
        if (!isMeant(searchParams.get("life"))) return replaced();
        return Response.json(await load(request, searchParams));
      default:
        return noSuchCall(request.method, pathname);
    }
  },
} satisfies ExportedHandler<CellEnv>;

/** By `<namespace>/<script>`. */
const traceGrants = new Map<string, string>();
const MAX_TRACE_GRANTS = 10_000;

const traces = new TraceBuffer(async (batches) => {
  for (const batch of batches) {
    const grant = traceGrants.get(`${batch.namespace}/${batch.script}`) ?? "";
    await sendTraces(env.EGRESS, batch, grant);
  }
});

/** Where the runtime tells what became of the invocations of traced isolates. */
export class Tail extends WorkerEntrypoint<CellEnv, TailProps> {
  override tail(items: TraceItem[]): void {
    const { namespace, script, grant } = this.ctx.props;
    const events = traceEvents(items, this.ctx.props, Date.now());
    if (events.length === 0) return;
    if (traceGrants.size >= MAX_TRACE_GRANTS) traceGrants.clear();
    if (grant !== undefined) traceGrants.set(`${namespace}/${script}`, grant);
    traces.add(namespace, script, events, 0, (work) => this.ctx.waitUntil(work));
  }
}

export class CellControl extends WorkerEntrypoint<CellEnv> {
  override async fetch(request: Request): Promise<Response> {
    const { pathname } = new URL(request.url);
    switch (`${request.method} ${pathname}`) {
      case "POST /heartbeat": {
        await isolates.sweep(Date.now());
        const idleMs = isolates.idleMs(Date.now());
        const health: EdgeHealth = {
          loadedIsolates: isolates.size,
          ...(idleMs !== undefined && { idleMs }),
        };
        return Response.json(health);
      }
      case "POST /trial": {
        const bundle = decodeBundle(new Uint8Array(await request.arrayBuffer()));
        return Response.json(
          await tryStart(bundle, env.LOADER, ledger, (value) => bind({ caller: TRIED, value })),
        );
      }
      default:
        return noSuchCall(request.method, pathname);
    }
  }
}

/** The edge's knowledge may be old: a dedicated cell must never hold a version beside its own. */
function isMeant(life: string | null): boolean {
  return life === null || env.CELL === undefined || Number(life) === env.CELL.life;
}

function replaced(): Response {
  return new Response("this cell was replaced", { status: 409 });
}

async function invoke(forwarded: Request): Promise<Response> {
  const { call, request, finish } = receive<CellCall>(forwarded);
  const { versionId, variant, args: props, limits, via, entrypoint, rpc, event } = call;
  const facts = { versionId };
  try {
    const response = isolates.invoke(isolateId(versionId, variant), request, {
      props,
      limits,
      via,
      entrypoint,
      rpc,
      event,
    });
    return await finish(response === undefined ? answerMissing() : answer(await response, facts));
  } catch (error) {
    return await finish(answerError(error, facts));
  }
}

async function load(request: Request, of: URLSearchParams): Promise<CellLoad> {
  const startedMs = Date.now();
  const bundle = decodeBundle(new Uint8Array(await request.arrayBuffer()));
  const variant = of.get("variant");
  try {
    await isolates.load(bundle.versionId, () => Promise.resolve(bundle), {
      namespace: of.get("namespace") ?? "",
      script: of.get("script") ?? "",
      minWarm: Number(of.get("minWarm") ?? 0),
      variant: variant === null ? undefined : (JSON.parse(variant) as Variant),
    });
    return { ok: true, loadMs: Date.now() - startedMs };
  } catch (error) {
    const { message, stack, remote } = error as Error & { remote?: boolean };
    const isOwn = remote === true;
    return { ok: false, message, isOwn, ...(stack === undefined ? {} : { stack }) };
  }
}

function noSuchCall(method: string, pathname: string): Response {
  return new Response(`no such call: ${method} ${pathname}`, { status: 404 });
}
