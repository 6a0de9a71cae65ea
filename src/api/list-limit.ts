/** `?limit=` of lists that are read from their newest end. */
import type { ApiContext } from "./context.ts";
import { ApiError } from "./errors.ts";

export function limitOf(c: ApiContext, usual: number, most: number): number {
  const text = c.req.query("limit");
  if (text === undefined) return usual;
  const limit = Number(text);
  if (Number.isInteger(limit) && limit > 0) return Math.min(limit, most);
  throw new ApiError("invalid", `limit is '${text}', expected a whole number from 1 to ${most}`);
}
