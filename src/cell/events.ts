/**
 * Calls the handlers of a function that are none for clients: the body of the request says what for, and the response
 * says how it went. Rejects with what a `tail` handler or a `fetch` handler throws; of the others the runtime says no more
 * than that they threw.
 */
import { remoteError } from "../protocol/dispatch-errors.ts";
import type {
  EventType,
  FunctionEvent,
  HandlerEnd,
  QueuedMessage,
  QueueVerdict,
} from "../protocol/events.ts";
import { decodeStructured } from "../protocol/structured.ts";
import type { TraceEvent } from "../protocol/trace.ts";

type ScheduledEvent = FunctionEvent & { readonly type: "scheduled" };
type QueueEvent = FunctionEvent & { readonly type: "queue" };

const HANDLERS: readonly string[] = ["scheduled", "queue"] satisfies EventType[];

/** Of those that a version offers, the ones whose lack is looked at here; a version may offer any number. */
export function eventHandlers(offered: readonly string[]): readonly string[] {
  return HANDLERS.filter((name) => offered.includes(name));
}

type Message = Readonly<{ id: string; timestamp: Date; attempts: number }> &
  (Readonly<{ body: unknown }> | Readonly<{ serializedBody: Uint8Array }>);

/** What the runtime offers with the flag `service_binding_extra_handlers`, and `tail` by RPC. */
interface Handlers {
  tail(events: readonly TraceEvent[]): Promise<void>;
  scheduled(event: { readonly cron: string; readonly scheduledTime: Date }): Promise<{
    readonly outcome: string;
    readonly noRetry: boolean;
  }>;
  queue(
    name: string,
    messages: readonly Message[],
    metadata?: MessageBatchMetadata,
  ): Promise<QueueVerdict & { readonly outcome: string }>;
}

/** `handlers`: those for events that the version is known to have. */
export async function callHandler(
  worker: Fetcher,
  event: EventType,
  request: Request,
  handlers: readonly string[],
): Promise<Response> {
  if (event === "invocation") return worker.fetch(request);
  const target = worker as unknown as Handlers;
  switch (event) {
    case "tail":
      await target.tail(await request.json<readonly TraceEvent[]>());
      return new Response(null, { status: 204 });
    case "scheduled": {
      const { cron, scheduledTimeMs } = await request.json<ScheduledEvent>();
      const { outcome, noRetry } = await target.scheduled({
        cron,
        scheduledTime: new Date(scheduledTimeMs),
      });
      return ended(event, handlers, { outcome, noRetry });
    }
    case "queue": {
      const { queue, messages, backlog } = await request.json<QueueEvent>();
      const { outcome, ackAll, retryBatch, explicitAcks, retryMessages } = await target.queue(
        queue,
        messages.map(readMessage),
        backlog && { metrics: metricsOf(backlog) },
      );
      const verdict = { ackAll, retryBatch, explicitAcks, retryMessages };
      return ended(event, handlers, { outcome, queue: verdict });
    }
  }
}

/**
 * A handler may be a field of a class, which shows in no list, so only one that failed and is in none is taken for
 * missing.
 */
function ended(
  event: EventType,
  handlers: readonly string[],
  end: Omit<HandlerEnd, "isHandled">,
): Response {
  const isHandled = end.outcome !== "exception" || handlers.includes(event);
  return Response.json({ ...end, isHandled } satisfies HandlerEnd);
}

function metricsOf({ count, bytes, oldestMs }: NonNullable<QueueEvent["backlog"]>) {
  return {
    backlogCount: count,
    backlogBytes: bytes,
    ...(oldestMs !== undefined && { oldestMessageTimestamp: new Date(oldestMs) }),
  };
}

/** What cannot be read is a fault of who sent it, and would be one at each further try. */
function readMessage(message: QueuedMessage): Message {
  try {
    return toMessage(message);
  } catch (error) {
    const { name, message: why, stack } = error as Error;
    const { id, contentType } = message;
    throw remoteError(name, `message ${id} is no ${contentType} that can be read: ${why}`, stack);
  }
}

/** `undefined` as the runtime serializes it, which takes no `undefined` for a body. */
const SERIALIZED_UNDEFINED = Uint8Array.of(0xff, 0x0f, 0x5f);

function toMessage({ id, timestampMs, attempts, contentType, body }: QueuedMessage): Message {
  const message = { id, timestamp: new Date(timestampMs), attempts };
  switch (contentType) {
    case "text":
      return { ...message, body };
    case "bytes":
      return { ...message, body: Uint8Array.fromBase64(body).buffer };
    case "json":
      return { ...message, body: JSON.parse(body) as unknown };
    case "v8":
      return { ...message, serializedBody: Uint8Array.fromBase64(body) };
    case "structured": {
      const decoded = decodeStructured(body);
      return decoded === undefined
        ? { ...message, serializedBody: SERIALIZED_UNDEFINED }
        : { ...message, body: decoded };
    }
  }
}
