/**
 * The Worker of a process with D1 databases. A statement runs to its end before anything else in its process does, so
 * databases are in processes of their own, which the supervisor kills when one takes too long. There are two *lanes*: all
 * databases are in the fast one, whose statements must be short; one that held it up is in the slow one for a while, where
 * statements may be long and wait for each other. Both have the same directory; a database is open in one of them only.
 *
 * BindingGate is served to edges and cells; ControlGate to the store, and of the slow lane to the fast one. The calls are those
 * of protocol/store.ts, and `POST /release/{id}`, after which a database is no longer open here.
 */
import { env as bindings, WorkerEntrypoint } from "cloudflare:workers";
import { Grants, notGranted } from "../../protocol/grants.ts";
import { STORE_HEADER, type StoreCall } from "../../protocol/store.ts";
import { GrantBook } from "../grant-book.ts";
import type { DatabasesEnv } from "./env.ts";
import { administer, bind, configure, release } from "./kind.ts";
import { SlowLane } from "./slow-lane.ts";

export { D1Database } from "./database.ts";

const env = bindings as unknown as DatabasesEnv;
const grants = new GrantBook(new Grants(env.GRANT_KEY));
const slowLane = env.SLOW === undefined ? undefined : new SlowLane(env.SLOW, env.LANE.slow);

export default { fetch: () => new Response(null, { status: 404 }) } satisfies ExportedHandler;

/** For edges and cells. */
export class BindingGate extends WorkerEntrypoint<DatabasesEnv> {
  override async fetch(request: Request): Promise<Response> {
    const text = request.headers.get(STORE_HEADER);
    const call = text === null ? undefined : await grants.check(text);
    if (call?.kind !== "d1") {
      await request.body?.cancel();
      return notGranted();
    }
    return slowLane?.has(call.id) && (await slowLane.keeps(call.id))
      ? slowLane.fetch(request)
      : bind(request, call.id, this.env);
  }
}

/** For those who are trusted. */
export class ControlGate extends WorkerEntrypoint<DatabasesEnv> {
  override async fetch(request: Request): Promise<Response> {
    const text = request.headers.get(STORE_HEADER);
    const [first = "", second = "", third = ""] = new URL(request.url).pathname.slice(1).split("/");
    const id =
      text !== null ? (JSON.parse(text) as StoreCall).id : first === "configs" ? third : second;
    if (slowLane?.has(id) && (await slowLane.keeps(id))) return slowLane.fetch(request);
    if (text !== null) return bind(request, id, this.env);
    switch (first) {
      case "configs": {
        const config = request.method === "DELETE" ? null : await request.json();
        await configure(config, id, this.env);
        return new Response(null, { status: 204 });
      }
      case "release":
        await release(id, this.env);
        return new Response(null, { status: 204 });
      default:
        return administer(request, id, this.env);
    }
  }
}
