/** Sends an event to an edge, from where it finds its function. Any edge will do; so each starts with another one. */
import { connectionLost, neverConnected } from "../edge/losses.ts";
import type { EventDelivery, EventResult } from "../protocol/events.ts";
import type { StoreEnv } from "./env.ts";

let next = 0;

/** Never rejects. */
export async function deliverEvent(env: StoreEnv, delivery: EventDelivery): Promise<EventResult> {
  const result = await sendToEdge<EventResult>(env, "/", delivery);
  if (!("failed" in result)) return result;
  const { failed: message, mayHaveRun } = result;
  return { ran: false, reason: "unavailable", message, ...(mayHaveRun && { mayHaveRun }) };
}

/** Never rejects. `env.STORE.edges` is 0 in tests alone. */
export async function sendToEdge<Result extends object>(
  env: StoreEnv,
  path: string,
  value: unknown,
): Promise<Result | { readonly failed: string; readonly mayHaveRun: boolean }> {
  const { edges } = env.STORE;
  const body = JSON.stringify(value);
  let failed = "there is no edge";
  for (let tries = 0; tries < edges; tries++) {
    const edge = env[`EDGE_${next++ % edges}`] as Fetcher;
    try {
      const response = await edge.fetch(`http://edge${path}`, { method: "POST", body });
      if (response.ok) return await response.json<Result>();
      failed = `an edge answered with ${response.status}: ${await response.text()}`;
    } catch (error) {
      failed = (error as Error).message;
      if (connectionLost(error)) return { failed, mayHaveRun: true };
      if (!neverConnected(error)) break;
    }
  }
  return { failed, mayHaveRun: false };
}
