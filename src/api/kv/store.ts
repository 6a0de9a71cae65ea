/** Asks the store for what is in a KV namespace, and makes its refusals errors of the API. */
import { STORE_HEADER } from "../../protocol/store.ts";
import type { CodeName } from "../codes.ts";
import type { ApiContext } from "../context.ts";
import { ApiError } from "../errors.ts";
import { kvOf } from "./namespaces.ts";

const CODE_OF: Readonly<Record<number, CodeName>> = {
  404: "kvKeyNotFound",
  413: "bodyTooLarge",
  507: "quotaExceeded",
};

/** In the protocol of the binding; `path` begins with a slash. */
export async function callBinding(
  c: ApiContext,
  path: string,
  init: RequestInit<RequestInitCfProperties> = {},
): Promise<Response> {
  const { id } = await kvOf(c);
  const headers = new Headers(init.headers);
  headers.set(STORE_HEADER, JSON.stringify({ kind: "kv", id }));
  return accepted(await c.env.STORE.fetch(`http://store${path}`, { ...init, headers }));
}

/** Many keys at once (src/store/kv/kind.ts). */
export async function callEntries(
  c: ApiContext,
  method: "POST" | "DELETE",
  body: unknown,
): Promise<void> {
  const { id } = await kvOf(c);
  const init = { method, body: JSON.stringify(body) };
  const response = await c.env.STORE.fetch(`http://store/kv/${id}/entries`, init);
  await (await accepted(response)).body?.cancel();
}

async function accepted(response: Response): Promise<Response> {
  if (response.ok) return response;
  const text = await response.text();
  if (response.status >= 500 && response.status !== 507) {
    throw new Error(`the store answered ${response.status}: ${text}`);
  }
  const code = CODE_OF[response.status] ?? "invalid";
  throw new ApiError(code, code === "kvKeyNotFound" ? "get: 'key not found'" : text);
}

/** The key at the end of the path, which may have any escapes in it. */
export function keyOf(c: ApiContext): string {
  const path = new URL(c.req.url).pathname;
  const [, escaped = ""] = /\/(?:values|metadata)\/(.*)$/s.exec(path) ?? [];
  try {
    return decodeURIComponent(escaped);
  } catch {
    throw new ApiError("invalid", `the key '${escaped}' is not percent-encoded UTF-8`);
  }
}

/** Its path in the protocol of the binding. */
export function pathOf(key: string, query = new URLSearchParams()): string {
  query.set("urlencoded", "true");
  return `/${encodeURIComponent(key)}?${query.toString()}`;
}
