/** `GET …/scripts/{script}/logs`: the logs that are kept of a Worker. Ours, not Cloudflare's. */
import type { LogCursor, LogPage, LogQuery } from "../protocol/log-query.ts";
import { OUTCOMES } from "../protocol/telemetry.ts";
import { scriptOf, type ApiContext } from "./context.ts";
import { ok } from "./envelope.ts";
import { ApiError } from "./errors.ts";
import { parseTime, TIME_FORMS } from "./metrics-range.ts";

const USUAL_EVENTS = 100;
const MAX_EVENTS = 1_000;
const MAX_GREP_CHARACTERS = 1_000;

/** `?since=1h&until=&grep=&outcome=exception,canceled&version=&limit=&cursor=` */
export async function getLogs(c: ApiContext): Promise<Response> {
  const query = parseQuery(c.req.query());
  const { namespaceId, name } = await scriptOf(c);
  const object = c.env.FUNCTION_LOGS.getByName(`${namespaceId}/${name}`) as unknown as {
    query(query: LogQuery): Promise<LogPage>;
  };
  const { events, cursor } = await object.query(query);
  return ok(c, {
    events: events.map(({ id, event }) => ({ id, ...event })),
    cursor: cursor && `${cursor.at}.${cursor.id}`,
  });
}

function parseQuery(given: Readonly<Record<string, string>>): LogQuery {
  const { since = "1h", until = "0s", grep, outcome, version, limit, cursor } = given;
  const count = Number(limit ?? USUAL_EVENTS);
  if (!Number.isInteger(count) || count < 1 || count > MAX_EVENTS) {
    throw new ApiError("invalid", `limit is '${limit}', expected a number from 1 to ${MAX_EVENTS}`);
  }
  if (grep !== undefined && (grep === "" || grep.length > MAX_GREP_CHARACTERS)) {
    throw new ApiError("invalid", `grep is to have 1 to ${MAX_GREP_CHARACTERS} characters`);
  }
  const outcomes = outcome === undefined ? undefined : [...new Set(outcome.split(","))];
  for (const name of outcomes ?? []) {
    if ((OUTCOMES as readonly string[]).includes(name)) continue;
    throw new ApiError("invalid", `outcome is '${name}', expected one of ${OUTCOMES.join(", ")}`);
  }
  return {
    sinceMs: time("since", since),
    // Clocks of processes on one machine agree; an event of this very millisecond is part of it.
    untilMs: until === "0s" ? Date.now() + 1 : time("until", until),
    limit: count,
    ...(grep !== undefined && { grep }),
    ...(outcomes !== undefined && { outcomes }),
    ...(version !== undefined && { version }),
    ...(cursor !== undefined && { cursor: parseCursor(cursor) }),
  };
}

function time(name: string, value: string): number {
  const timeMs = parseTime(value, Date.now());
  if (timeMs !== null) return timeMs;
  throw new ApiError("invalid", `${name} is '${value}', expected ${TIME_FORMS}`);
}

function parseCursor(text: string): LogCursor {
  const [, at, id] = /^(\d{1,15})\.(\d{1,15})$/.exec(text) ?? [];
  if (at === undefined || id === undefined) {
    throw new ApiError("invalid", `cursor is '${text}', expected the one of an answer before`);
  }
  return { at: Number(at), id: Number(id) };
}
