/**
 * The store's Worker: what functions keep, and the events that wake them. No tenant code. BindingGate is served to edges and
 * cells, ControlGate to the hub, each on a unix socket of its own (src/protocol/store.ts).
 */
import { env as bindings, WorkerEntrypoint } from "cloudflare:workers";
import { Grants, notGranted } from "../protocol/grants.ts";
import {
  CONFIG_KINDS,
  STORE_HEADER,
  type ConfigKind,
  type StoreCall,
  type StoreConfig,
} from "../protocol/store.ts";
import { callBook } from "./d1/remote-book.ts";
import type { StoreEnv } from "./env.ts";
import { GrantBook } from "./grant-book.ts";
import { askFollower, followChanges } from "./changes/follow.ts";
import { kinds } from "./kinds.ts";

export { ChangeFollower } from "./changes/follower.ts";
export { KvNamespace } from "./kv/namespace.ts";
export { QueueObject } from "./queue/queue-object.ts";
export { QuotaBook } from "./quota-book.ts";
export { R2Bucket } from "./r2/bucket.ts";
export { Courier } from "./scripts/courier.ts";
export { Invocations } from "./scripts/invocations.ts";
export { ObjectRoom } from "./scripts/object-room.ts";
export { Schedules } from "./scripts/schedules.ts";

const env = bindings as unknown as StoreEnv;
const grants = new GrantBook(new Grants(env.GRANT_KEY));

export default { fetch: () => new Response(null, { status: 404 }) } satisfies ExportedHandler;

/** For edges and cells. */
export class BindingGate extends WorkerEntrypoint<StoreEnv> {
  override async fetch(request: Request): Promise<Response> {
    const text = request.headers.get(STORE_HEADER);
    const call = text === null ? undefined : await grants.check(text);
    if (call === undefined) {
      await request.body?.cancel();
      return notGranted();
    }
    return kinds[call.kind].bind(request, call.id, this.env, this.ctx);
  }
}

/** For the hub. */
export class ControlGate extends WorkerEntrypoint<StoreEnv> {
  override async fetch(request: Request): Promise<Response> {
    const text = request.headers.get(STORE_HEADER);
    if (text !== null) {
      const { kind, id } = JSON.parse(text) as StoreCall;
      return kinds[kind].bind(request, id, this.env, this.ctx);
    }
    const { pathname } = new URL(request.url);
    const [first = "", second = "", third = ""] = pathname.slice(1).split("/");
    if (first === "usage") {
      const book = this.env.QUOTAS.getByName(decodeURIComponent(second));
      return Response.json(await book.usage());
    }
    if (first === "quotas") return callBook(request, second, this.env);
    if (first !== "configs") {
      const asked = await askFollower(request, this.env);
      if (asked !== undefined) return asked;
      return isKind(first)
        ? kinds[first].administer(request, second, this.env)
        : new Response(`no such call: ${request.method} ${pathname}`, { status: 404 });
    }
    if (!isKind(second)) return new Response(`no such kind: ${second}`, { status: 404 });
    const config = request.method === "DELETE" ? null : await request.json<StoreConfig>();
    await kinds[second].configure(config, third, this.env);
    await followChanges(this.env, second, third, config);
    return new Response(null, { status: 204 });
  }
}

function isKind(text: string): text is ConfigKind {
  return (CONFIG_KINDS as readonly string[]).includes(text);
}
