/** `…/storage/kv/namespaces/{id}/bulk`: many keys in one call. */
import * as z from "zod";
import { MAX_BULK_PAIRS, type KvPair } from "../../protocol/kv.ts";
import type { ApiContext } from "../context.ts";
import { ok } from "../envelope.ts";
import { ApiError } from "../errors.ts";
import { parseJson, validate } from "../json-body.ts";
import { MAX_UPLOAD_BYTES, readBody } from "../upload/form.ts";
import { callBinding, callEntries } from "./store.ts";

export const pairs = z
  .array(
    z.object({
      key: z.string(),
      value: z.string(),
      base64: z.boolean().nullish(),
      metadata: z.unknown().optional(),
      expiration: z.number().nullish(),
      expiration_ttl: z.number().nullish(),
    }),
  )
  .max(MAX_BULK_PAIRS);

export const keyNames = z.array(z.string()).max(MAX_BULK_PAIRS);

export const wanted = z.object({
  keys: z.array(z.string()),
  type: z.enum(["text", "json"]).optional(),
  withMetadata: z.boolean().optional(),
});

export async function putBulk(c: ApiContext): Promise<Response> {
  const given = await readAs(c, pairs);
  await callEntries(c, "POST", given.map(toPair));
  return ok(c, { successful_key_count: given.length, unsuccessful_keys: [] });
}

export async function deleteBulk(c: ApiContext): Promise<Response> {
  const keys = await readAs(c, keyNames);
  await callEntries(c, "DELETE", keys);
  return ok(c, { successful_key_count: keys.length, unsuccessful_keys: [] });
}

export async function getBulk(c: ApiContext): Promise<Response> {
  const body = JSON.stringify(await readAs(c, wanted));
  const response = await callBinding(c, "/bulk/get", { method: "POST", body });
  return ok(c, { values: await response.json() });
}

async function readAs<Schema extends z.ZodType>(
  c: ApiContext,
  schema: Schema,
): Promise<z.output<Schema>> {
  const text = new TextDecoder().decode(await readBody(c.req.raw, MAX_UPLOAD_BYTES));
  return validate(schema, parseJson(text, "the request body"), "body");
}

function toPair(pair: z.output<typeof pairs>[number]): KvPair {
  const { key, value, base64, metadata, expiration, expiration_ttl: ttl } = pair;
  return {
    key,
    value: base64 === true ? checkedBase64(key, value) : new TextEncoder().encode(value).toBase64(),
    metadata: metadata === undefined || metadata === null ? null : JSON.stringify(metadata),
    expiration: expiration == null ? null : String(expiration),
    expirationTtl: ttl == null ? null : String(ttl),
  };
}

function checkedBase64(key: string, value: string): string {
  try {
    return Uint8Array.fromBase64(value).toBase64();
  } catch {
    throw new ApiError("invalid", `the value of '${key}' is not base64, although base64 is true`);
  }
}
