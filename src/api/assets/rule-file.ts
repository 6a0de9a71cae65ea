/**
 * What `_redirects` and `_headers` have in common: lines with comments, the paths and hosts that rules are for, and
 * that a file with a mistake in it is refused as a whole, with the line, as Cloudflare does.
 */
import { ApiError } from "../errors.ts";

const MAX_LINE_LENGTH = 2_000;

export interface Line {
  /** Counted from 1. */
  readonly number: number;
  readonly text: string;
}

/** `name`: of the file, such as `_redirects`. Blank lines and comments are left out. */
export function linesOf(name: string, file: string): Line[] {
  const lines = file.split("\n").map((text, index) => ({ number: index + 1, text: text.trim() }));
  return lines.filter((line) => {
    if (line.text === "" || line.text.startsWith("#")) return false;
    if (line.text.length <= MAX_LINE_LENGTH) return true;
    throw invalid(name, line, `The line is longer than ${MAX_LINE_LENGTH} characters.`);
  });
}

export function invalid(name: string, line: Line, why: string): ApiError {
  return new ApiError("invalid", `Invalid ${name} configuration:\nLine ${line.number}: ${why}`);
}

const ABSOLUTE = /^https:\/\/+([^/]+)\/?(.*)/;

export interface Place {
  /** undefined: any host. */
  readonly host: string | undefined;
  /** With what follows it, if that was asked for. */
  readonly path: string;
}

/** null: neither a path nor an https URL. `isTarget`: query and fragment belong to it. */
export function placeOf(text: string, isTarget: boolean): Place | null {
  const [, host, rest] = ABSOLUTE.exec(text) ?? [];
  if (host === undefined && !text.startsWith("/")) return null;
  const path = host === undefined ? text : `/${rest ?? ""}`;
  const url = URL.parse(`https://host${path}`);
  if (url === null) return null;
  return { host, path: isTarget ? url.pathname + url.search + url.hash : url.pathname };
}

export function placeText({ host, path }: Place): string {
  return host === undefined ? path : `https://${host}${path}`;
}

/** What it costs an edge to compare a path with a rule grows with their number. */
const MAX_PLACEHOLDERS = 20;

/** undefined: it may be a pattern. */
export function badPattern(pattern: string): string | undefined {
  const splats = pattern.split("*").length - 1;
  if (splats > 1) return "Only one * is allowed in a rule: use placeholders, such as :name.";
  const placeholders = pattern.match(/:[A-Za-z]/g)?.length ?? 0;
  if (placeholders > MAX_PLACEHOLDERS) {
    return `${placeholders} placeholders are more than the ${MAX_PLACEHOLDERS} that a rule may have.`;
  }
  if (splats > 0 && /:splat(?!\w)/.test(pattern)) return "* is itself called :splat.";
  return undefined;
}
