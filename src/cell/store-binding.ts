/**
 * The trusted side of bindings to what functions keep: what the isolate sends is passed on to the store, as a call of
 * the one resource that the binding leads to. The isolate's side are the shims (shims.ts), which speak the wire protocol
 * of the runtime's own bindings.
 */
import { WorkerEntrypoint } from "cloudflare:workers";
import type { StoreValue } from "../protocol/bundle.ts";
import { QUEUE_DELAY_HEADER } from "../protocol/queue.ts";
import { encodeStructured } from "../protocol/structured.ts";
import { calls, type BindingProps } from "./bindings.ts";
import { chargeSubrequest } from "./outbound.ts";

export class SkepStore extends WorkerEntrypoint<unknown, BindingProps<StoreValue>> {
  override fetch(request: Request): Promise<Response> {
    const { caller, value } = this.ctx.props;
    chargeSubrequest(caller);
    const own = new Request(request);
    const { delaySeconds } = value;
    if (delaySeconds !== undefined) own.headers.set(QUEUE_DELAY_HEADER, String(delaySeconds));
    const answer = calls().store(caller, value, own);
    return value.type === "d1" ? answer.catch(toLoss) : answer;
  }

  /** Of a queue's messages, which outlive their isolate: written down as what goes between functions is. */
  structured(bodies: readonly unknown[]): string[] {
    return bodies.map((body) => encodeStructured(body, "a message"));
  }
}

/** The process with the databases was lost, or killed for what some statement did: as Cloudflare's D1 says it. */
function toLoss(): Response {
  return Response.json({ success: false, error: "Network connection lost." });
}
