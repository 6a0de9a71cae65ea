/** Gives an event to its function, as a request is given to it: where it lives, under its limits, and recorded. */
import type { MetricsEnv } from "../dispatcher/record.ts";
import type { EventDelivery, EventResult } from "../protocol/events.ts";
import type { Invoker } from "./invoke.ts";

export interface EventOptions {
  readonly invoker: Invoker;
  readonly metrics: MetricsEnv;
}

/** Never rejects. */
export function deliver(
  _options: EventOptions,
  { namespace, script, event }: EventDelivery,
  _ctx: ExecutionContext,
): Promise<EventResult> {
  const message = `${namespace}/${script} cannot be given an event of type ${event.type}`;
  return Promise.resolve({ ran: false, reason: "no-handler", message });
}
