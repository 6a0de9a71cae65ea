/**
 * Gives the conformance Worker to a real cell as an edge does: `PUT /?store=` loads the module that is the body, with the
 * bindings that `store` names and grants for them; `POST /` brings an event from the store; anything else is passed on to it.
 */
import { encodeBundle, type StoreValue } from "../../src/protocol/bundle.ts";
import type { EventDelivery, EventType, HandlerEnd } from "../../src/protocol/events.ts";
import { Grants } from "../../src/protocol/grants.ts";
import { forward } from "../../src/protocol/hop.ts";

interface DriverEnv {
  readonly CELL: Fetcher;
  readonly GRANT_KEY: string;
}

const TO = { namespace: "conformance", script: "cases" };
const LIMITS = { cpuMs: 30_000, wallMs: 60_000, subrequests: 10_000 };
let versionId = "";

export default {
  async fetch(request, env) {
    if (request.method === "POST") {
      const { event } = await request.json<EventDelivery>();
      const asked = new Request("http://event/", { method: "POST", body: JSON.stringify(event) });
      const { isHandled: _, ...end } = await (
        await call(env, asked, event.type)
      ).json<HandlerEnd>();
      return Response.json({ ran: true, ...end });
    }
    if (request.method !== "PUT") return call(env, request);
    versionId = crypto.randomUUID();
    const store = new URL(request.url).searchParams.get("store") ?? "{}";
    const bundle = {
      versionId,
      compatibilityDate: "2026-11-01",
      compatibilityFlags: [],
      syntax: "modules",
      mainModule: "cases.js",
      modules: [
        { name: "cases.js", type: "esm", content: new Uint8Array(await request.arrayBuffer()) },
      ],
      env: JSON.parse(store) as Record<string, StoreValue>,
    } as const;
    const granted = await new Grants(env.GRANT_KEY).addTo(bundle, TO);
    const url = `http://cell/load?namespace=${TO.namespace}&script=${TO.script}`;
    return env.CELL.fetch(url, { method: "POST", body: encodeBundle(granted) });
  },
} satisfies ExportedHandler<DriverEnv>;

/** `event`: the handler that is called; left out: `fetch`. */
function call({ CELL }: DriverEnv, request: Request, event?: EventType): Promise<Response> {
  const invocation = { ...TO, versionId, args: undefined, limits: LIMITS, via: [] };
  return forward(CELL, event ? { ...invocation, event } : invocation, request, { versionId: "" });
}
