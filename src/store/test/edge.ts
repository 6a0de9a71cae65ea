/**
 * Stands in for an edge: takes the batches of queues, and answers what it was told to for each, or that all went well. What
 * a test tells it is `POST /{what}/{queue}`.
 */
import type { EventDelivery, EventResult } from "../../protocol/events.ts";

interface Heard {
  taken: EventDelivery[];
  answers: EventResult[];
  isClosed: boolean;
}

const POLL_MS = 10;
const queues = new Map<string, Heard>();

function of(queue: string): Heard {
  const heard = queues.get(queue) ?? { taken: [], answers: [], isClosed: false };
  queues.set(queue, heard);
  return heard;
}

export default {
  async fetch(request) {
    const [what = "", queue = ""] = new URL(request.url).pathname.slice(1).split("/");
    const heard = of(queue);
    switch (what) {
      case "answers":
        heard.answers = await request.json();
        return new Response();
      case "taken":
        return Response.json(heard.taken);
      case "close":
      case "open":
        heard.isClosed = what === "close";
        return new Response();
      default:
        return deliver(await request.json<EventDelivery>());
    }
  },
} satisfies ExportedHandler;

async function deliver(delivery: EventDelivery): Promise<Response> {
  const { event } = delivery;
  if (event.type !== "queue") throw new TypeError(`an event of type ${event.type}`);
  const heard = of(event.queue);
  heard.taken.push(delivery);
  const answer = heard.answers.shift() ?? { ran: true, outcome: "ok" };
  while (heard.isClosed) await scheduler.wait(POLL_MS);
  return Response.json(answer);
}
