/**
 * Cron Triggers, `…/scripts/{script}/schedules`: of account Workers as wrangler sets them, and of user Workers too, which
 * Cloudflare does not offer.
 */
import * as z from "zod";
import { CronError, parseCron } from "../protocol/cron.ts";
import type { ScheduledRun } from "../protocol/schedules.ts";
import type { ScheduleRecord } from "../registry/script-events.ts";
import { registry, scriptOf, type ApiContext } from "./context.ts";
import { ok } from "./envelope.ts";
import { ApiError } from "./errors.ts";
import { unwrap } from "./failures.ts";
import { jsonBody } from "./json-body.ts";
import { limitOf } from "./list-limit.ts";
import { settleStore } from "./resources.ts";
import { askStore } from "./script-store.ts";
import { iso } from "./user.ts";

export const schedules = z.array(z.object({ cron: z.string() }));

/** Of one script. Cloudflare has 250 for an account. */
const MAX_SCHEDULES = 250;
const MAX_CRON_CHARACTERS = 256;

export async function getSchedules(c: ApiContext): Promise<Response> {
  const { id } = await scriptOf(c);
  return answer(c, (await registry(c).scriptEvents(id)).schedules);
}

/** In place of those before. wrangler sends an empty list to clear them. */
export async function putSchedules(c: ApiContext): Promise<Response> {
  const crons = (await jsonBody(c, schedules)).map(({ cron }) => cron.trim());
  if (crons.length > MAX_SCHEDULES) {
    throw new ApiError(
      "invalid",
      `A Worker may have ${MAX_SCHEDULES} schedules, got ${crons.length}: combine some, such as '0,30 * * * *'.`,
    );
  }
  for (const cron of crons) check(cron);
  const { namespaceId, name } = await scriptOf(c);
  const events = unwrap(await registry(c).setSchedules(namespaceId, name, crons));
  await settleStore(c);
  return answer(c, events.schedules);
}

/** `GET …/schedules/runs?limit=`. Ours. */
export async function listRuns(c: ApiContext): Promise<Response> {
  const { id } = await scriptOf(c);
  const { runs, next } = await askStore(c, id).runs(limitOf(c, 50, 200));
  return ok(c, {
    runs: runs.map(toJson),
    next: next.map(({ cron, atMs }) => ({ cron, scheduled_time: iso(atMs) })),
  });
}

function check(cron: string): void {
  try {
    if (cron.length > MAX_CRON_CHARACTERS) throw new CronError("it is too long");
    parseCron(cron);
  } catch (error) {
    if (!(error instanceof CronError)) throw error;
    throw new ApiError("invalid", `The cron expression '${cron}' is not valid: ${error.message}.`);
  }
}

function answer(c: ApiContext, records: readonly ScheduleRecord[]): Response {
  return ok(c, {
    schedules: records.map(({ cron, createdOn, modifiedOn }) => ({
      cron,
      created_on: iso(createdOn),
      modified_on: iso(modifiedOn),
    })),
  });
}

function toJson(run: ScheduledRun) {
  const time = (ms: number | null) => (ms === null ? null : iso(ms));
  return {
    id: run.id,
    cron: run.cron,
    scheduled_time: iso(run.scheduledMs),
    missed_since: time(run.missedSinceMs),
    state: run.state,
    late: run.isLate,
    attempts: run.attempts,
    started_on: time(run.startedMs),
    ended_on: time(run.endedMs),
    outcome: run.outcome,
    error: run.error,
  };
}
