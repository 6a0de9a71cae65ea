/**
 * Scripts, as far as events go, and what they keep themselves. The hub asks:
 *   GET  /script/{id}/runs?limit=                       -> ScheduleReport
 *   POST /script/{id}/invocations      NewInvocation    -> InvocationDetail; 429: too many wait, 507: over quota
 *   GET  /script/{id}/invocations?limit=&state=&before= -> { invocations: InvocationRecord[] }
 *   POST /script/{id}/objects          {bytes}          -> ObjectRoomAnswer (asked by the supervisor)
 *   GET  /script/{id}/invocations/{id}                  -> InvocationDetail; 404
 */
import {
  INVOCATION_STATES,
  type InvocationState,
  type NewInvocation,
} from "../../protocol/invocations.ts";
import type { ObjectRoomAnswer } from "../../protocol/objects.ts";
import type { StoreEnv } from "../env.ts";
import type { Kind } from "../kinds.ts";
import { quotaConfig, type ScriptConfig } from "./config.ts";
import { QUOTA_STATUS } from "../quota.ts";
import { deliverNow } from "./courier.ts";
import type { Created } from "./invocations.ts";
import { SCHEDULES_NAME } from "./schedules.ts";

export const scripts: Kind = {
  bind: () => Promise.resolve(new Response("nothing is bound to a script", { status: 404 })),
  administer,
  async configure(given, id, env) {
    const config = given as ScriptConfig | null;
    const schedules = env.SCHEDULES.getByName(SCHEDULES_NAME);
    const invocations = env.INVOCATIONS.getByName(id);
    const hadObjects = await schedules.hasObjects(id);
    if (hadObjects && !config?.settings.hasObjects) await env.OBJECT_ROOMS.getByName(id).remove();
    if (config?.settings.hasObjects) {
      await env.OBJECT_ROOMS.getByName(id).configure(quotaConfig(config));
    }
    if (config === null) {
      // Should this be broken off, it is asked for again; whether there are invocations must be known until they are told.
      if (await schedules.hasInvocations(id)) await invocations.configure(null);
      await schedules.forget(id);
    } else if (await schedules.configure(id, config)) {
      await invocations.configure(config);
    }
  },
};

async function administer(request: Request, id: string, env: StoreEnv): Promise<Response> {
  const { pathname, searchParams } = new URL(request.url);
  const [, , , what, which] = pathname.split("/");
  const limit = Number(searchParams.get("limit") ?? 100);
  if (what === "runs") {
    return Response.json(await env.SCHEDULES.getByName(SCHEDULES_NAME).report(id, limit));
  }
  if (what === "objects" && request.method === "POST") {
    const { bytes } = await request.json<{ bytes: number }>();
    const refusal = await env.OBJECT_ROOMS.getByName(id).measured(bytes);
    if (refusal === undefined) return new Response("not known yet", { status: 404 });
    return Response.json({ refusal } satisfies ObjectRoomAnswer);
  }
  const invocations = env.INVOCATIONS.getByName(id);
  if (what !== "invocations") return new Response(`no such call: ${pathname}`, { status: 404 });
  if (request.method === "POST") {
    // The types that workerd derives for RPC turn tuples into arrays.
    const created = (await invocations.create(await request.json<NewInvocation>())) as Created;
    if ("refused" in created) {
      const status = created.why === "over quota" ? QUOTA_STATUS : 429;
      return new Response(created.refused, { status });
    }
    if (created.errand === null) return Response.json(created.record);
    const result = await deliverNow(id, created.errand);
    const detail = await invocations.detail(created.record.id);
    // Whoever waits gets the response, whether there was room to keep it or not.
    const response = result.ran && result.response ? result.response : null;
    return Response.json(response === null ? detail : { ...detail, response });
  }
  if (which !== undefined) {
    const detail = await invocations.detail(which);
    return detail === null ? new Response(null, { status: 404 }) : Response.json(detail);
  }
  const state = searchParams.get("state") as InvocationState | null;
  const states = state === null ? INVOCATION_STATES : [state];
  const before = searchParams.get("before");
  return Response.json({ invocations: await invocations.list(states, limit, before) });
}
