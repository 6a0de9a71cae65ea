/** Cron Triggers of account Workers: there are none, and whoever sets one is told so. */
import * as z from "zod";
import { param, scriptOf, type ApiContext } from "./context.ts";
import { ok } from "./envelope.ts";
import { ApiError } from "./errors.ts";
import { jsonBody } from "./json-body.ts";

export const schedules = z.array(z.object({ cron: z.string() }));

/** `GET …/scripts/{script}/schedules` */
export async function getSchedules(c: ApiContext): Promise<Response> {
  await scriptOf(c);
  return ok(c, { schedules: [] });
}

/** wrangler sends an empty list to clear them. */
export async function putSchedules(c: ApiContext): Promise<Response> {
  const [first] = await jsonBody(c, schedules);
  if (first) {
    throw new ApiError(
      "notSupported",
      `The schedule '${first.cron}' of '${param(c, "script")}' was not set: Cron Triggers are not supported by this platform yet. Remove 'crons' from the configuration, and let a cron of your own call the Worker.`,
    );
  }
  return getSchedules(c);
}
