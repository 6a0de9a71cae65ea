/**
 * Checks a compatibility date against the calendar; the trial checks it against the runtime. The wording
 * is that of workerd, which Cloudflare's answers show.
 */
import { ApiError } from "../errors.ts";

export function checkCompatibilityDate(date: string, now: Date): string {
  const time = /^2\d{3}-\d{2}-\d{2}$/.test(date) ? Date.parse(date) : Number.NaN;
  if (Number.isNaN(time)) throw new ApiError("invalid", `Invalid compatibility date: ${date}`);
  if (date > now.toISOString().slice(0, 10)) {
    throw new ApiError("invalid", `Can't set compatibility date in the future: ${date}`);
  }
  return date;
}
