/**
 * The Worker of an edge process. Requests come in on the public sockets and go to the dispatcher, which is
 * another module of this very Worker, with an env in which dispatch namespaces and metrics are ours.
 * Three more entrypoints listen on unix sockets: EdgeControl for the supervisor, PeerGate for other edges,
 * HairpinGate for what functions fetch from our own base domain, or through an outbound Worker, EventGate for the store.
 * Outbound is the way
 * out of the isolates; what begins with Skep are their bindings.
 */
import { env, exports, WorkerEntrypoint } from "cloudflare:workers";
import dispatcher from "dispatcher";
import { bindWith, connectBindings } from "../cell/bindings.ts";
import type { OutboundProps } from "../cell/outbound.ts";
import { platformError } from "../dispatcher/errors.ts";
import type { InvocationFacts } from "../namespace/user-worker.ts";
import { callerOf } from "../protocol/egress.ts";
import type { Callout, EventDelivery } from "../protocol/events.ts";
import type { EdgeHealth } from "../protocol/hub.ts";
import { answer, answerError, CALL_HEADER, receive, type PeerCall } from "../protocol/hop.ts";
import type { CellNews } from "../protocol/incident.ts";
import type { RoutingUpdate } from "../protocol/routing.ts";
import { readToItsEnd } from "../protocol/unread.ts";
import { admit, admitHairpin } from "./admit.ts";
import { answerBound, callBound } from "./bound-calls.ts";
import { Edge, type EdgeEnv } from "./edge.ts";
import { callOut } from "./callout.ts";
import { deliver } from "./events.ts";
import { traceEvents, type TailProps } from "../cell/trace.ts";
import { takeTraces } from "./traces.ts";
import { answerOutbound } from "./outbound-worker.ts";

export { SkepAssets } from "../cell/assets.ts";
export { SkepAnalytics, SkepDispatcher, SkepRateLimit, SkepService } from "../cell/bindings.ts";
export { Outbound } from "../cell/outbound.ts";
export { SkepObjects } from "../cell/objects-binding.ts";
export { SkepStore } from "../cell/store-binding.ts";

/** What the runtime offers of this very module. */
interface OwnExports {
  Outbound(options: { readonly props: OutboundProps }): Fetcher;
  Tail(options: { readonly props: TailProps }): Fetcher;
}

/** Made at once: the supervisor looks for its ledger when the process has started. */
const edge = new Edge(
  env as unknown as EdgeEnv,
  (props) => (exports as unknown as OwnExports).Outbound({ props }),
  bindWith(exports),
  (props) => (exports as unknown as OwnExports).Tail({ props }),
);

const parts = { invoker: edge.invoker, metrics: edge.dispatcherEnv, grants: edge.grants };
connectBindings({
  dispatch: (_caller, _value, call, request, ctx) => callBound(parts, call, request, ctx),
  limit: (caller, value, key) => edge.rateLimits.take(caller, value, key),
  async write(caller, { dataset }, point) {
    edge.analytics.write(caller, dataset, point);
  },
  asset: (_caller, { versionId }, _via, request) => edge.assets.fetch(versionId, request),
  store: (caller, value, request) => edge.store.call(caller, value, request),
});

function dispatch(request: Request, ctx: ExecutionContext): Response | Promise<Response> {
  const { dispatcherEnv } = edge;
  if (dispatcherEnv.ROUTES !== undefined) return dispatcher.fetch(request, dispatcherEnv, ctx);
  return edge.loadRoutes().then(
    () => dispatcher.fetch(request, dispatcherEnv, ctx),
    () => platformError("unavailable", request),
  );
}

/** Clients get a response whether or not the function reads what they send. */
function serve(request: Request, ctx: ExecutionContext): Response | Promise<Response> {
  if (request.body === null) return dispatch(request, ctx);
  const { body, finish } = readToItsEnd(request.body, request.headers.get("content-length"));
  if (body === request.body) return dispatch(request, ctx);
  // oxlint-disable-next-line unicorn/no-invalid-fetch-options -- it has the method of a request that has a body
  return Promise.resolve(dispatch(new Request(request, { body }), ctx)).then(finish);
}

export default {
  fetch: (request, _env, ctx) => serve(admit(request), ctx),
} satisfies ExportedHandler;

/** Where the runtime tells what became of the invocations of traced isolates. */
export class Tail extends WorkerEntrypoint<unknown, TailProps> {
  override tail(items: TraceItem[]): void {
    const { namespace, script } = this.ctx.props;
    const events = traceEvents(items, this.ctx.props, Date.now());
    if (events.length > 0) edge.traces.take({ namespace, script, events, dropped: 0 }, this.ctx);
  }
}

export class HairpinGate extends WorkerEntrypoint {
  override fetch(request: Request): Response | Promise<Response> {
    const caller = callerOf(request);
    if (caller?.call === "dispatch") return answerBound(parts, request, caller, this.ctx);
    if (caller?.call === "assets") return edge.assets.answer(caller, request, edge.grants);
    if (caller?.call === "limits") return edge.rateLimits.answer(request, caller, edge.grants);
    if (caller?.call === "analytics") return edge.analytics.answer(request, caller, edge.grants);
    if (caller?.call === "traces") return takeTraces(request, caller, edge, this.ctx);
    if (caller?.outbound === undefined) return serve(admitHairpin(request, caller), this.ctx);
    return answerOutbound(parts, caller, caller.outbound, request, this.ctx);
  }
}

/** For the store: the events that wake functions. */
export class EventGate extends WorkerEntrypoint {
  override async fetch(request: Request): Promise<Response> {
    if (new URL(request.url).pathname === "/callout") {
      const { EGRESS } = env as unknown as { readonly EGRESS: Fetcher };
      const options = { ...parts, egress: EGRESS };
      return Response.json(await callOut(options, await request.json<Callout>()));
    }
    return Response.json(await deliver(parts, await request.json<EventDelivery>(), this.ctx));
  }
}

export class EdgeControl extends WorkerEntrypoint {
  override async fetch(request: Request): Promise<Response> {
    const { pathname } = new URL(request.url);
    if (request.method === "POST" && pathname === "/routing") {
      await edge.accept(await request.json<RoutingUpdate>());
      await edge.ensureRoutes();
      return new Response(null, { status: 204 });
    }
    if (request.method === "POST" && pathname === "/cells") {
      edge.acceptNews(await request.json<CellNews>());
      return new Response(null, { status: 204 });
    }
    if (request.method === "POST" && pathname === "/heartbeat") {
      await edge.keepHouse();
      const health: EdgeHealth = { loadedIsolates: edge.isolates.size };
      return Response.json(health);
    }
    return new Response(`no such call: ${request.method} ${pathname}`, { status: 404 });
  }
}

export class PeerGate extends WorkerEntrypoint {
  override async fetch(forwarded: Request): Promise<Response> {
    if (!forwarded.headers.has(CALL_HEADER)) return edge.rateLimits.answerPeer(forwarded);
    const { call, request, finish } = receive<PeerCall>(forwarded);
    const facts: InvocationFacts = { versionId: "" };
    try {
      return await finish(answer(await edge.invoker.invokeForwarded(call, request, facts), facts));
    } catch (error) {
      return await finish(answerError(error, facts));
    }
  }
}
