/** D1 databases, as the gates of a process with databases ask for them. */
import type { StoreConfig } from "../../protocol/store.ts";
import type { D1Database } from "./database.ts";
import type { DatabasesEnv } from "./env.ts";

/** The path may be a function's own: what the API alone may ask is not to be reached by it. */
export function bind(request: Request, id: string, env: DatabasesEnv): Promise<Response> {
  const { pathname } = new URL(request.url);
  if (!pathname.startsWith("/admin/")) return stubOf(env, id).fetch(request);
  return Promise.resolve(new Response("no function may ask for this", { status: 403 }));
}

/** `/d1/{id}/...`, which the object sees as `/admin/...`. */
export function administer(request: Request, id: string, env: DatabasesEnv): Promise<Response> {
  const url = new URL(request.url);
  url.pathname = `/admin/${url.pathname.split("/").slice(3).join("/")}`;
  return stubOf(env, id).fetch(new Request(url, request));
}

export async function configure(config: unknown, id: string, env: DatabasesEnv): Promise<void> {
  if (config === null) await stubOf(env, id).remove();
  else await stubOf(env, id).configure(config as StoreConfig);
}

/** Resolves when the database is open no more. */
export async function release(id: string, env: DatabasesEnv): Promise<void> {
  await stubOf(env, id)
    .release()
    .catch(() => {
      // The object ends with the call, which therefore always rejects.
    });
}

function stubOf(env: DatabasesEnv, id: string): DurableObjectStub<D1Database> {
  return env.D1.get(env.D1.idFromName(id));
}
