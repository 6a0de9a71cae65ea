/** What wakes a Worker beside requests: schedules and invocations, with what they answer. */
import * as z from "zod";
import { INVOCATION_STATES, INVOCATION_TYPES } from "../../protocol/invocations.ts";
import { config } from "../invocations.ts";
import { schedules } from "../schedules.ts";
import type { Operation } from "./operations.ts";

const time = z.iso.datetime();
const count = z.int().min(0);
const text = z.string();

const scheduled = z.strictObject({
  schedules: z.array(z.strictObject({ cron: text, created_on: time, modified_on: time })),
});

const runs = z.strictObject({
  runs: z.array(
    z.strictObject({
      id: z.int(),
      cron: text,
      scheduled_time: time,
      missed_since: time.nullable(),
      state: z.enum(["waiting", "running", "ended"]),
      late: z.boolean(),
      attempts: count,
      started_on: time.nullable(),
      ended_on: time.nullable(),
      outcome: text.nullable(),
      error: text.nullable(),
    }),
  ),
  next: z.array(z.strictObject({ cron: text, scheduled_time: time })),
});

const destination = z.union([
  z.strictObject({ type: z.literal("queue"), queue: text }),
  z.strictObject({ type: z.literal("function"), script: text }),
  z.strictObject({ type: z.literal("url"), url: text }),
]);

const settings = z.strictObject({
  max_attempts: count,
  retry_delay_seconds: count,
  max_age_seconds: count,
  on_success: destination.nullable(),
  on_failure: destination.nullable(),
});

const invocation = z.strictObject({
  id: text,
  type: z.enum(INVOCATION_TYPES),
  status: z.enum(INVOCATION_STATES),
  idempotency_key: text.nullable(),
  created_on: time,
  ended_on: time.nullable(),
  payload_bytes: count.nullable(),
  attempts: count,
  next_attempt_on: time.nullable(),
  outcome: text.nullable(),
  error: text.nullable(),
  destination: z
    .strictObject({
      to: destination,
      status: z.enum(["waiting", "delivered", "given-up"]),
      attempts: count,
      error: text.nullable(),
    })
    .nullable(),
});

const detail = invocation.extend({
  response: z
    .strictObject({
      status: count,
      headers: z.array(z.tuple([text, text])),
      body: text,
      is_base64: z.boolean(),
      is_truncated: z.boolean(),
    })
    .nullable(),
});

const dryRun = z.strictObject({ type: z.literal("DryRun"), script: text, version_id: text });

export function ofScriptEvents(script: string): Record<string, Operation> {
  return {
    [`GET ${script}/schedules`]: { does: "Cron Triggers", result: scheduled },
    [`PUT ${script}/schedules`]: {
      does: "Replaces the Cron Triggers",
      body: schedules,
      result: scheduled,
    },
    [`GET ${script}/schedules/runs`]: {
      does: "The latest runs, newest first, and when each trigger is due next",
      query: { limit: "At most 200; 50 by default" },
      result: runs,
      ours: true,
    },
    [`GET ${script}/invocations/config`]: {
      does: "Retries and destinations of invocations of type Event",
      result: settings,
      ours: true,
    },
    [`PUT ${script}/invocations/config`]: {
      does: "Sets them; what is left out gets its default",
      body: config,
      result: settings,
      ours: true,
    },
    [`POST ${script}/invocations`]: {
      does: "Calls the fetch handler with the body as payload; the header `Invocation-Type` says how: RequestResponse, Event or DryRun",
      result: z.union([detail, dryRun]),
      ours: true,
    },
    [`GET ${script}/invocations`]: {
      does: "Invocations, newest first",
      query: {
        limit: "At most 1,000; 50 by default",
        status: INVOCATION_STATES.join(", "),
        before: "Those older than the one with this id",
      },
      result: z.strictObject({ invocations: z.array(invocation), before: text.nullable() }),
      ours: true,
    },
    [`GET ${script}/invocations/:invocation`]: {
      does: "One invocation, with its response",
      result: detail,
      ours: true,
    },
  };
}
