/**
 * Queues, for edges, cells and the hub. Beyond the producer's protocol (wire.ts) the hub asks:
 *   POST /queue/{id}/pull   PullOptions       -> PulledMessage[]; 409: the queue has no consumer that pulls
 *   POST /queue/{id}/ack    Acknowledgement   -> Acknowledged; 409 likewise
 *   POST /queue/{id}/peek   {limit}           -> PeekedMessage[]
 *   POST /queue/{id}/remove {refs}            -> 204: messages that were peeked
 *   POST /queue/{id}/purge                    -> 204
 */
import type { QueueConfig } from "../../protocol/queue.ts";
import type { StoreEnv } from "../env.ts";
import type { Kind } from "../kinds.ts";
import type { Acknowledgement, PullOptions } from "./pull.ts";

export const queues: Kind = {
  bind: (request, id, env) => env.QUEUES.getByName(id).fetch(request),
  administer,
  configure: (config, id, env) => env.QUEUES.getByName(id).configure(config as QueueConfig | null),
};

async function administer(request: Request, id: string, env: StoreEnv): Promise<Response> {
  const queue = env.QUEUES.getByName(id);
  const [, , , call = ""] = new URL(request.url).pathname.split("/");
  const asked: unknown = await request.json();
  switch (call) {
    case "pull":
      return orNotPulled(await queue.pull(asked as PullOptions));
    case "ack":
      return orNotPulled(await queue.acknowledge(asked as Acknowledgement));
    case "peek":
      return Response.json(await queue.peek((asked as { limit: number }).limit));
    case "remove":
      await queue.remove((asked as { refs: readonly string[] }).refs.map(Number));
      return new Response(null, { status: 204 });
    case "purge":
      await queue.purge();
      return new Response(null, { status: 204 });
    default:
      return new Response(`no such call: ${call}`, { status: 404 });
  }
}

function orNotPulled(result: unknown): Response {
  return result === null ? new Response(null, { status: 409 }) : Response.json(result);
}
