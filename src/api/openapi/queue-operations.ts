/** Entries of operations.ts for queues (`routeQueues`). */
import * as z from "zod";
import * as consumers from "../queues/consumers.ts";
import * as messages from "../queues/messages.ts";
import * as queues from "../queues/queues.ts";
import * as answer from "./answers.ts";
import type { Operation } from "./operations.ts";

const metrics = z.object({
  backlog_count: z.number(),
  backlog_bytes: z.number(),
  oldest_message_timestamp_ms: z.number(),
});
const sent = z.object({ metadata: z.object({ metrics }) });
const consumer = z.object({
  consumer_id: z.string(),
  type: z.enum(["worker", "http_pull"]),
  script: z.string().optional(),
  dispatch_namespace: z.string().optional(),
  dead_letter_queue: z.string().optional(),
  settings: z.record(z.string(), z.number().nullable()),
});
const queue = z.object({
  queue_id: z.string(),
  queue_name: z.string(),
  settings: z.object({
    delivery_delay: z.number(),
    delivery_paused: z.boolean(),
    message_retention_period: z.number(),
  }),
  producers: z.array(z.object({ type: z.literal("worker"), script: z.string() })),
  consumers: z.array(consumer),
  dispatch_namespace: z.string().nullable(),
});
const message = z.object({
  id: z.string(),
  attempts: z.number(),
  body: z.string(),
  metadata: z.record(z.string(), z.string()),
  timestamp_ms: z.number(),
});

export function ofQueues(account: string): Record<string, Operation> {
  const all = `${account}/queues`;
  const one = `${all}/:queue`;
  const of = { dispatch_namespace: "Of this dispatch namespace" };
  const change: Operation = { does: "Changes a queue", body: queues.change, result: queue };
  return {
    [`GET ${all}`]: {
      does: "Queues",
      query: { ...of, name: "Of these names only" },
      result: queue,
      list: true,
    },
    [`POST ${all}`]: { does: "Makes a queue", query: of, body: queues.creation, result: queue },
    [`GET ${one}`]: { does: "One queue", result: queue },
    [`PUT ${one}`]: change,
    [`PATCH ${one}`]: change,
    [`DELETE ${one}`]: { does: "Deletes a queue with its messages", result: answer.nothing },
    [`GET ${one}/consumers`]: {
      does: "Who takes its messages: one at most",
      result: consumer,
      list: true,
    },
    [`POST ${one}/consumers`]: {
      does: "Adds its consumer",
      body: consumers.consumer,
      result: consumer,
    },
    [`GET ${one}/consumers/:consumer`]: { does: "One consumer", result: consumer },
    [`PUT ${one}/consumers/:consumer`]: {
      does: "Sets its consumer anew",
      body: consumers.consumer,
      result: consumer,
    },
    [`DELETE ${one}/consumers/:consumer`]: {
      does: "Removes its consumer; messages wait",
      result: answer.nothing,
    },
    [`POST ${one}/messages`]: { does: "Sends a message", body: messages.message, result: sent },
    [`POST ${one}/messages/batch`]: {
      does: "Sends messages",
      body: messages.messages,
      result: sent,
    },
    [`POST ${one}/messages/pull`]: {
      does: "Takes messages, for as long as the visibility timeout says",
      body: messages.pulling,
      result: z.object({
        message_backlog_count: z.number(),
        messages: z.array(message.extend({ lease_id: z.string() })),
        metadata: z.object({ metrics }),
      }),
    },
    [`POST ${one}/messages/ack`]: {
      does: "Acknowledges pulled messages, or gives them back",
      body: messages.acknowledgement,
      result: z.object({
        ackCount: z.number(),
        retryCount: z.number(),
        warnings: z.record(z.string(), z.string()),
      }),
    },
    [`POST ${one}/messages/peek`]: {
      does: "Looks at messages without taking them",
      body: messages.peeking,
      result: z.object({ messages: z.array(message.extend({ ref: z.string() })) }),
    },
    [`POST ${one}/messages/purge`]: {
      does: "Deletes messages that were peeked",
      body: messages.removal,
      result: z.object({
        errors: z.array(z.unknown()),
        warnings: z.record(z.string(), z.string()),
      }),
    },
    [`GET ${one}/purge`]: {
      does: "When it was purged last",
      result: z.object({ started_at: z.string().optional(), completed: z.string().optional() }),
    },
    [`POST ${one}/purge`]: {
      does: "Deletes all messages",
      body: messages.purging,
      result: queue,
    },
    [`GET ${one}/metrics`]: { does: "How much is in it", result: metrics },
  };
}
