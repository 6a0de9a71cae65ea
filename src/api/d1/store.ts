/** Asks the store about one D1 database (src/store/d1/admin.ts), and makes its refusals errors of the API. */
import type { ApiContext } from "../context.ts";
import { ApiError } from "../errors.ts";

export async function askDatabase<T>(
  c: ApiContext,
  id: string,
  method: "GET" | "POST",
  path: string,
  body?: unknown,
): Promise<T> {
  const init = { method, ...(body !== undefined && { body: JSON.stringify(body) }) };
  const response = await c.env.STORE.fetch(`http://store/d1/${id}/${path}`, init);
  const text = await response.text();
  if (response.ok) return JSON.parse(text) as T;
  if (response.status === 400) {
    throw new ApiError("d1Error", (JSON.parse(text) as { error: string }).error);
  }
  throw new Error(`the store answered ${response.status}: ${text}`);
}
