/**
 * The Worker of an edge process. Requests come in on the public sockets and go to the dispatcher, which is
 * another module of this very Worker, with an env in which dispatch namespaces and metrics are ours.
 * Two more entrypoints listen on unix sockets: EdgeControl for the supervisor, PeerGate for other edges.
 */
import { WorkerEntrypoint } from "cloudflare:workers";
import dispatcher from "dispatcher";
import type { EdgeHealth } from "../protocol/hub.ts";
import type { RoutingUpdate } from "../protocol/routing.ts";
import type { InvocationFacts } from "../namespace/user-worker.ts";
import { Edge, type EdgeEnv } from "./edge.ts";
import { platformError } from "../dispatcher/errors.ts";
import { admit } from "./admit.ts";
import { answer, answerError, receive } from "../protocol/hop.ts";

let edge: Edge | undefined;

/** One per process: bindings live as long as the isolate does. */
function edgeOf(env: EdgeEnv): Edge {
  return (edge ??= new Edge(env));
}

export default {
  fetch(request, env, ctx) {
    const here = edgeOf(env);
    const { dispatcherEnv } = here;
    const admitted = admit(request);
    if (dispatcherEnv.ROUTES !== undefined) return dispatcher.fetch(admitted, dispatcherEnv, ctx);
    return here.loadRoutes().then(
      () => dispatcher.fetch(admitted, dispatcherEnv, ctx),
      () => platformError("unavailable", admitted),
    );
  },
} satisfies ExportedHandler<EdgeEnv>;

export class EdgeControl extends WorkerEntrypoint<EdgeEnv> {
  override async fetch(request: Request): Promise<Response> {
    const { pathname } = new URL(request.url);
    const here = edgeOf(this.env);
    if (request.method === "POST" && pathname === "/routing") {
      here.accept(await request.json<RoutingUpdate>());
      await here.ensureRoutes();
      return new Response(null, { status: 204 });
    }
    if (request.method === "POST" && pathname === "/heartbeat") {
      await here.ensureRoutes();
      await Promise.all([here.isolates.sweep(Date.now()), here.dispatcherEnv.METRICS.flush()]);
      const health: EdgeHealth = { loadedIsolates: here.isolates.size };
      return Response.json(health);
    }
    return new Response(`no such call: ${request.method} ${pathname}`, { status: 404 });
  }
}

export class PeerGate extends WorkerEntrypoint<EdgeEnv> {
  override async fetch(forwarded: Request): Promise<Response> {
    const { call, request } = receive(forwarded);
    const facts: InvocationFacts = { versionId: "" };
    try {
      const { invoker } = edgeOf(this.env);
      return answer(await invoker.invokeHere(call.namespace, call, request, facts), facts);
    } catch (error) {
      return answerError(error, facts);
    }
  }
}
