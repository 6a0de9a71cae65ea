/** Sends an event to an edge, from where it finds its function. Any edge will do; so each starts with another one. */
import { connectionLost, neverConnected } from "../edge/losses.ts";
import type { EventDelivery, EventResult } from "../protocol/events.ts";
import type { StoreEnv } from "./env.ts";

let next = 0;

/** Never rejects. `env.STORE.edges` is 0 in tests alone. */
export async function deliverEvent(env: StoreEnv, delivery: EventDelivery): Promise<EventResult> {
  const { edges } = env.STORE;
  const body = JSON.stringify(delivery);
  let message = "there is no edge";
  for (let tries = 0; tries < edges; tries++) {
    const edge = env[`EDGE_${next++ % edges}`] as Fetcher;
    try {
      const response = await edge.fetch("http://edge/", { method: "POST", body });
      if (response.ok) return await response.json<EventResult>();
      message = `an edge answered with ${response.status}: ${await response.text()}`;
    } catch (error) {
      ({ message } = error as Error);
      if (connectionLost(error)) return { ...unavailable(message), mayHaveRun: true };
      if (!neverConnected(error)) break;
    }
  }
  return unavailable(message);
}

function unavailable(message: string) {
  return { ran: false, reason: "unavailable", message } as const;
}
