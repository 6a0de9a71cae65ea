/** `…/d1/database/{id}/time_travel`: what a database was (src/store/d1/snapshots.ts). */
import type { ApiContext } from "../context.ts";
import { ok } from "../envelope.ts";
import { ApiError } from "../errors.ts";
import { databaseOf } from "./databases.ts";
import { askDatabase } from "./store.ts";

export async function getBookmark(c: ApiContext): Promise<Response> {
  const { id } = await databaseOf(c);
  const timestamp = c.req.query("timestamp");
  const query = timestamp === undefined ? "" : `?timestamp=${toMs(timestamp)}`;
  return ok(c, await askDatabase(c, id, "GET", `bookmark${query}`));
}

export async function restore(c: ApiContext): Promise<Response> {
  const { id } = await databaseOf(c);
  const { bookmark: asked, timestamp } = c.req.query();
  if ((asked === undefined) === (timestamp === undefined)) {
    throw new ApiError("invalid", "give either ?bookmark= or ?timestamp=, to which to go back");
  }
  const found =
    asked ??
    (
      await askDatabase<{ bookmark: string }>(
        c,
        id,
        "GET",
        `bookmark?timestamp=${toMs(timestamp ?? "")}`,
      )
    ).bookmark;
  const { bookmark, previousBookmark } = await askDatabase<{
    bookmark: string;
    previousBookmark: string;
  }>(c, id, "POST", "restore", { bookmark: found });
  return ok(c, {
    bookmark,
    previous_bookmark: previousBookmark,
    message: `The database is as it was at bookmark ${bookmark}.`,
  });
}

function toMs(timestamp: string): number {
  const ms = Date.parse(timestamp);
  if (!Number.isNaN(ms)) return ms;
  throw new ApiError("invalid", `timestamp '${timestamp}' is no time such as 2026-11-23T10:00:00Z`);
}
