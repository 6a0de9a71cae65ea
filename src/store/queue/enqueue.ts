/** How other parts of the store put messages into a queue. */
import type { NewMessage } from "../../protocol/queue.ts";
import type { StoreEnv } from "../env.ts";

/**
 * Resolves when they are stored. `source` names where they come from, if they have numbers: messages are taken once for each
 * source and number, however often they are sent, as long as their numbers only grow. Rejects if there is no such queue, or
 * no room in it.
 */
export async function enqueue(
  env: StoreEnv,
  queueId: string,
  messages: readonly NewMessage[],
  source?: string,
): Promise<void> {
  const refusal = await env.QUEUES.getByName(queueId).enqueue(messages, source);
  if (refusal !== null) throw new Error(refusal);
}
