/** `…/storage/kv/namespaces/{id}/keys`, `values/{key}` and `metadata/{key}`. Values are raw bytes in both directions. */
import { asciiJson } from "../../protocol/kv.ts";
import type { ApiContext } from "../context.ts";
import { ok } from "../envelope.ts";
import { ApiError } from "../errors.ts";
import { parseForm, readBody } from "../upload/form.ts";
import { callBinding, keyOf, pathOf } from "./store.ts";

/** A value has 25 MiB at most; the rest is for what is around it. */
const MAX_FORM_BYTES = 26 * 1024 * 1024;

interface Listed {
  readonly keys: readonly { name: string; expiration?: number; metadata?: string }[];
  readonly cursor?: string;
}

export async function listKeys(c: ApiContext): Promise<Response> {
  const query = new URLSearchParams();
  const { limit, prefix, cursor } = c.req.query();
  if (limit !== undefined) query.set("key_count_limit", limit);
  if (prefix !== undefined) query.set("prefix", prefix);
  if (cursor !== undefined) query.set("cursor", cursor);
  const response = await callBinding(c, `/?${query.toString()}`);
  const { keys, cursor: next = "" } = await response.json<Listed>();
  const result = keys.map(({ metadata, ...key }) => ({
    ...key,
    ...(metadata !== undefined && { metadata: JSON.parse(metadata) as unknown }),
  }));
  const result_info = { count: result.length, cursor: next };
  return c.json({ success: true, errors: [], messages: [], result, result_info });
}

export async function getValue(c: ApiContext): Promise<Response> {
  const response = await callBinding(c, pathOf(keyOf(c)));
  const headers = new Headers({ "content-type": "application/octet-stream" });
  const expiration = response.headers.get("CF-Expiration");
  if (expiration !== null) headers.set("expiration", expiration);
  return new Response(response.body, { headers });
}

export async function getMetadata(c: ApiContext): Promise<Response> {
  const response = await callBinding(c, pathOf(keyOf(c)));
  await response.body?.cancel();
  const text = response.headers.get("CF-KV-Metadata");
  return ok(c, text === null ? null : JSON.parse(text));
}

export async function putValue(c: ApiContext): Promise<Response> {
  const query = new URLSearchParams();
  const { expiration, expiration_ttl: ttl } = c.req.query();
  if (expiration !== undefined) query.set("expiration", expiration);
  if (ttl !== undefined) query.set("expiration_ttl", ttl);
  const { body, metadata } = await contentOf(c);
  const response = await callBinding(c, pathOf(keyOf(c), query), {
    method: "PUT",
    body,
    headers: metadata === null ? {} : { "CF-KV-Metadata": asciiJson(metadata) },
  });
  await response.body?.cancel();
  return ok(c, null);
}

export async function deleteValue(c: ApiContext): Promise<Response> {
  const response = await callBinding(c, pathOf(keyOf(c)), { method: "DELETE" });
  await response.body?.cancel();
  return ok(c, null);
}

/** The body as it is; of a form its parts `value` and `metadata`. */
async function contentOf(
  c: ApiContext,
): Promise<{ readonly body: BodyInit | null; readonly metadata: string | null }> {
  const type = c.req.header("content-type") ?? "";
  if (!/^\s*multipart\/form-data/i.test(type)) return { body: c.req.raw.body, metadata: null };
  const form = await parseForm(await readBody(c.req.raw, MAX_FORM_BYTES), type);
  if (form === null) throw new ApiError("badBody", "The body is no multipart form.");
  const value = form.get("value") as string | File | null;
  const metadata = form.get("metadata") as string | File | null;
  if (value === null) throw new ApiError("badBody", "The form has no part named 'value'.");
  const text = metadata === null || typeof metadata === "string" ? metadata : await metadata.text();
  return { body: value, metadata: text };
}
