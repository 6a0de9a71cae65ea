/** What the store's gates know of changes: whoever configures a resource configures its follower. */
import { CHANGE_KINDS, type ChangeKind } from "../../protocol/changes.ts";
import type { ConfigKind, StoreConfig } from "../../protocol/store.ts";
import type { StoreEnv } from "../env.ts";

/** After the resource itself. A resource that nobody has ever followed has no follower, and no list of notifications. */
export async function followChanges(
  env: StoreEnv,
  kind: ConfigKind,
  id: string,
  config: StoreConfig | null,
): Promise<void> {
  if (!isChangeKind(kind) || (config !== null && !("notifications" in config.settings))) return;
  await followerOf(env, kind, id).configure(config);
}

/** `/{kind}/{id}/followers/{queueId}`: GET and PUT of protocol/changes.ts. undefined: it is another call. */
export async function askFollower(request: Request, env: StoreEnv): Promise<Response | undefined> {
  const { pathname } = new URL(request.url);
  const [kind = "", id = "", what, queueId = ""] = pathname.slice(1).split("/");
  if (what !== "followers" || !isChangeKind(kind)) return undefined;
  const follower = followerOf(env, kind, id);
  if (request.method === "PUT") {
    const { position } = await request.json<{ position: number }>();
    const isThere = await follower.move(queueId, position);
    return new Response(null, { status: isThere ? 204 : 404 });
  }
  const state = await follower.state(queueId);
  return state === null ? new Response(null, { status: 404 }) : Response.json(state);
}

/** Called by a resource that has written a change down. */
export async function nudgeFollower(env: StoreEnv, kind: ChangeKind, id: string): Promise<void> {
  await followerOf(env, kind, id).nudge();
}

function followerOf(env: StoreEnv, kind: ChangeKind, id: string) {
  return env.CHANGES.getByName(`${kind}/${id}`);
}

function isChangeKind(kind: string): kind is ChangeKind {
  return (CHANGE_KINDS as readonly string[]).includes(kind);
}
