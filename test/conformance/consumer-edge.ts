/**
 * Stands in for an edge towards the store: brings events to the Worker that runs the cases, whose handlers it calls as a cell
 * does.
 */
import { callHandler } from "../../src/cell/events.ts";
import type { EventDelivery, EventResult, HandlerEnd } from "../../src/protocol/events.ts";

interface EdgeEnv {
  readonly WORKER: Fetcher;
}

export default {
  async fetch(request, env) {
    const { event } = await request.json<EventDelivery>();
    const asked = new Request("http://event/", { method: "POST", body: JSON.stringify(event) });
    const response = await callHandler(env.WORKER, event.type, asked, ["queue"]);
    const { isHandled: _, ...end } = await response.json<HandlerEnd>();
    return Response.json({ ran: true, ...end } satisfies EventResult);
  },
} satisfies ExportedHandler<EdgeEnv>;
