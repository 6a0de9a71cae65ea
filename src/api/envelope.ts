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
  const number = positive(c.req.query("page")) ?? 1;
  const size = positive(c.req.query("per_page")) ?? Math.max(items.length, 1);
  const result = items.slice((number - 1) * size, number * size);
  const result_info = {
    page: number,
    per_page: size,
    count: result.length,
    total_count: items.length,
    total_pages: Math.ceil(items.length / size),
  };
  return c.json({ success: true, errors: [], messages: [], result, result_info });
}

function positive(text: string | undefined): number | undefined {
  const value = Number(text);
  return Number.isInteger(value) && value > 0 ? value : undefined;
}
