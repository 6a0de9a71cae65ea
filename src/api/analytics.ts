/**
 * `…/analytics[/{dataset}]`: the data points that Workers of the account, or of a dispatch namespace, wrote. Ours:
 * Cloudflare takes SQL, which this platform does not run for users.
 *
 *   ?from= &to=         Unix time in milliseconds; the last day
 *   ?select=            count, sum(double1), avg(…), min(…), max(…); none: the points themselves
 *   ?group=             columns (blob1 to blob20, index1), and minute, hour or day
 *   ?where=blob1:text   as often as need be
 *   ?limit=             at most 10,000, and 4 MiB of text
 */
import { isAggregate, isColumn, isGroup } from "../analytics/query.ts";
import { namespaceOf, param, type ApiContext } from "./context.ts";
import { ok, page } from "./envelope.ts";
import { ApiError } from "./errors.ts";

const DAY_MS = 86_400_000;
const DEFAULT_LIMIT = 100;
const MAX_LIMIT = 10_000;
/** Of columns, aggregates and conditions each. */
const MAX_ITEMS = 10;

export async function listDatasets(c: ApiContext): Promise<Response> {
  return page(c, await (await storeOf(c)).datasets());
}

export async function queryDataset(c: ApiContext): Promise<Response> {
  const toMs = numberIn(c, "to", Date.now());
  const select = listIn(c, "select", isAggregate, "count or sum, avg, min, max of a double");
  const groupBy = listIn(c, "group", isGroup, "blob1 to blob20, index1, minute, hour or day");
  if (groupBy.length > 0 && select.length === 0) {
    throw new ApiError("badBody", "?group needs a ?select, such as select=count");
  }
  const where = c.req.queries("where") ?? [];
  if (where.length > MAX_ITEMS) throw new ApiError("badBody", `more than ${MAX_ITEMS} ?where`);
  const rows = await (
    await storeOf(c)
  ).query({
    dataset: param(c, "dataset"),
    fromMs: numberIn(c, "from", toMs - DAY_MS),
    toMs,
    groupBy,
    select,
    where: where.map(condition),
    limit: Math.min(numberIn(c, "limit", DEFAULT_LIMIT), MAX_LIMIT),
  });
  if (rows === null) {
    throw new ApiError(
      "badBody",
      "The answer would have more than 4 MiB. Ask for less: a smaller ?limit, or a shorter time with ?from and ?to.",
    );
  }
  return ok(c, select.length === 0 ? rows.map(toPoint) : rows);
}

/** Cloudflare's way to ask. */
export function refuseSql(): never {
  throw new ApiError(
    "notSupported",
    "This platform runs no SQL of users. Ask GET …/workers/analytics/{dataset}?select=count&group=blob1 (docs/bindings.md).",
  );
}

async function storeOf(c: ApiContext) {
  return c.env.ANALYTICS.getByName((await namespaceOf(c)).id);
}

function toPoint({ blobs, doubles, ...rest }: Record<string, string | number | null>): unknown {
  const read = (text: unknown) => JSON.parse(text as string) as unknown;
  return { ...rest, blobs: read(blobs), doubles: read(doubles) };
}

function numberIn(c: ApiContext, name: string, otherwise: number): number {
  const text = c.req.query(name);
  if (text === undefined) return otherwise;
  const value = Number(text);
  if (text === "" || !Number.isSafeInteger(value) || value < 0) {
    throw new ApiError("badBody", `?${name}=${text} is no whole number`);
  }
  return value;
}

function listIn(
  c: ApiContext,
  name: string,
  isValid: (item: string) => boolean,
  what: string,
): string[] {
  const items = (c.req.query(name) ?? "").split(",").filter((item) => item !== "");
  const bad = items.find((item) => !isValid(item));
  if (bad !== undefined) throw new ApiError("badBody", `?${name}: '${bad}' is not ${what}`);
  if (items.length > MAX_ITEMS) {
    throw new ApiError("badBody", `?${name} names more than ${MAX_ITEMS}`);
  }
  return items;
}

function condition(text: string): [string, string] {
  const colon = text.indexOf(":");
  const column = text.slice(0, Math.max(colon, 0));
  if (!isColumn(column)) {
    throw new ApiError("badBody", `?where=${text}: write <column>:<text>, such as blob1:paid`);
  }
  return [column, text.slice(colon + 1)];
}
