/** Cloudflare's answer envelope. */
import type { ApiContext } from "./context.ts";

export function ok(c: ApiContext, result: unknown): Response {
  return c.json({ success: true, errors: [], messages: [], result });
}

/**
 * A list. `page` is honoured even where everything fits on one page: the official SDK asks for the next
 * page until one is empty, and would never stop otherwise.
 */
export function page(c: ApiContext, items: readonly unknown[]): Response {
  const { result, result_info } = paged(c, items, Math.max(items.length, 1));
  return c.json({ success: true, errors: [], messages: [], result, result_info });
}

/** Which part of a list the client asks for, where not all of it is read. */
export interface Part {
  readonly number: number;
  readonly size: number;
}

export function partOf(c: ApiContext, usualSize: number, maxSize = Infinity): Part {
  const number = positive(c.req.query("page")) ?? 1;
  const size = positive(c.req.query("per_page")) ?? usualSize;
  return { number, size: Math.min(size, maxSize) };
}

/** `items` are those of the part. */
export function pageOf(c: ApiContext, part: Part, items: readonly unknown[], total: number) {
  const result_info = infoOf(part, items.length, total);
  return c.json({ success: true, errors: [], messages: [], result: items, result_info });
}

/** A list within an object, under each of these names. `usualSize`: of a page, unless the client says. */
export function pageWithin(
  c: ApiContext,
  items: readonly unknown[],
  usualSize: number,
  ...names: readonly string[]
): Response {
  const { result: list, result_info } = paged(c, items, usualSize);
  const result = Object.fromEntries(names.map((name) => [name, list]));
  return c.json({ success: true, errors: [], messages: [], result, result_info });
}

function paged(c: ApiContext, items: readonly unknown[], usualSize: number) {
  const part = partOf(c, usualSize);
  const { number, size } = part;
  const result = items.slice((number - 1) * size, number * size);
  return { result, result_info: infoOf(part, result.length, items.length) };
}

function infoOf({ number, size }: Part, count: number, total: number) {
  return {
    page: number,
    per_page: size,
    count,
    total_count: total,
    total_pages: Math.ceil(total / size),
  };
}

function positive(text: string | undefined): number | undefined {
  const value = Number(text);
  return Number.isInteger(value) && value > 0 ? value : undefined;
}
