/**
 * The filters of a tail, as wrangler sends them: all must hold, and of the values of one any may.
 * https://developers.cloudflare.com/api/resources/workers/subresources/scripts/subresources/tail/
 */
import type { TraceEvent, TraceRequest } from "../protocol/trace.ts";

export interface TailFilter {
  readonly sampling_rate?: number | undefined;
  readonly outcome?: readonly string[] | undefined;
  readonly method?: readonly string[] | undefined;
  readonly header?: { readonly key: string; readonly query?: string | undefined } | undefined;
  /** Addresses; `self` was replaced by the client's own. */
  readonly client_ip?: readonly string[] | undefined;
  readonly query?: string | undefined;
  readonly scriptVersion?: string | undefined;
}

/** `random`: 0 to 1. */
export function passes(
  event: TraceEvent,
  filters: readonly TailFilter[],
  random: () => number = Math.random,
): boolean {
  return filters.every((filter) => passesOne(event, filter, random));
}

function passesOne(event: TraceEvent, filter: TailFilter, random: () => number): boolean {
  const { sampling_rate: rate, outcome, method, header, client_ip: addresses } = filter;
  const { query, scriptVersion } = filter;
  const request = requestOf(event);
  if (outcome !== undefined && !outcome.includes(filterOutcome(event, outcome))) return false;
  if (method !== undefined && !method.some((name) => isSame(name, request?.method))) return false;
  if (header !== undefined && !hasHeader(request, header)) return false;
  if (addresses !== undefined && !addresses.includes(request?.headers["cf-connecting-ip"] ?? "")) {
    return false;
  }
  if (query !== undefined && !mentions(event, query)) return false;
  if (scriptVersion !== undefined && event.scriptVersion.id !== scriptVersion) return false;
  return rate === undefined || random() < rate;
}

/** wrangler's `--status error` lists the limits that it knows; of wall time it does not. */
function filterOutcome({ outcome }: TraceEvent, wanted: readonly string[]): string {
  return outcome === "exceededWallTime" && wanted.includes("exceededCpu") ? "exceededCpu" : outcome;
}

function requestOf({ event }: TraceEvent): TraceRequest | undefined {
  return event !== null && "request" in event ? (event.request as TraceRequest) : undefined;
}

function isSame(name: string, method: string | undefined): boolean {
  return method !== undefined && name.toUpperCase() === method.toUpperCase();
}

function hasHeader(
  request: TraceRequest | undefined,
  { key, query }: NonNullable<TailFilter["header"]>,
): boolean {
  const value = request?.headers[key.toLowerCase()];
  return value !== undefined && (query === undefined || value.includes(query));
}

/** In what the function wrote. */
function mentions({ logs }: TraceEvent, query: string): boolean {
  return logs.some(({ message }) => textOf(message).includes(query));
}

/** As a person reads it. */
export function textOf(message: unknown): string {
  if (!Array.isArray(message)) return wordOf(message);
  return message.map(wordOf).join(" ");
}

function wordOf(value: unknown): string {
  return typeof value === "string" ? value : (JSON.stringify(value) ?? String(value));
}
