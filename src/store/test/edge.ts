/**
 * Stands in for an edge. It takes the batches of queues, and answers what it was told to for each, or that all went well: what
 * a test tells it is `POST /{what}/{queue}`. For other events functions do what their names say, later if they are closed, and
 * `GET /taken` gives out what came since the last time.
 */
import type { EventDelivery, EventResult } from "../../protocol/events.ts";

interface Heard {
  taken: EventDelivery[];
  answers: EventResult[];
  isClosed: boolean;
}

const POLL_MS = 10;
const queues = new Map<string, Heard>();

const RESULTS: Readonly<Record<string, EventResult>> = {
  ok: { ran: true, outcome: "ok" },
  large: {
    ran: true,
    outcome: "ok",
    response: { status: 200, headers: [], body: "A".repeat(349_528), isTruncated: false },
  },
  throws: { ran: true, outcome: "exception" },
  "never-again": { ran: true, outcome: "exception", noRetry: true },
  missing: { ran: false, reason: "missing", message: "no such function" },
  "without-handler": { ran: false, reason: "no-handler", message: "exports no such handler" },
  limited: { ran: false, reason: "limited", message: "backs off", retryAfterSeconds: 90 },
  lost: { ran: false, reason: "unavailable", message: "lost", mayHaveRun: true },
  "answers-at-length": {
    ran: true,
    outcome: "ok",
    response: { status: 200, headers: [], body: btoa("x".repeat(200_000)), isTruncated: false },
  },
};

let taken: EventDelivery[] = [];

function of(queue: string): Heard {
  const heard = queues.get(queue) ?? { taken: [], answers: [], isClosed: false };
  queues.set(queue, heard);
  return heard;
}

export default {
  async fetch(request) {
    const [what = "", queue = ""] = new URL(request.url).pathname.slice(1).split("/");
    if (what === "taken" && queue === "") {
      const all = taken;
      taken = [];
      return Response.json(all);
    }
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
  if (event.type !== "queue") {
    taken.push(delivery);
    while (of(delivery.script).isClosed) await scheduler.wait(POLL_MS);
    return Response.json(RESULTS[delivery.script] ?? RESULTS["ok"]);
  }
  const heard = of(event.queue);
  heard.taken.push(delivery);
  const answer = heard.answers.shift() ?? { ran: true, outcome: "ok" };
  while (heard.isClosed) await scheduler.wait(POLL_MS);
  return Response.json(answer);
}
