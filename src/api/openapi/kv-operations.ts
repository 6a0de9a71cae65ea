/** Entries of operations.ts for KV (`routeKv`) and for usage. */
import * as z from "zod";
import * as bulk from "../kv/bulk.ts";
import { titled } from "../kv/namespaces.ts";
import * as answer from "./answers.ts";
import type { Operation } from "./operations.ts";

const namespace = z.strictObject({
  id: z.string(),
  title: z.string(),
  supports_url_encoding: z.literal(true),
  dispatch_namespace: z.string().optional(),
});
const key = z.strictObject({
  name: z.string(),
  expiration: z.number().optional(),
  metadata: z.unknown().optional(),
});
const counts = z.strictObject({
  successful_key_count: z.number(),
  unsuccessful_keys: z.array(z.string()),
});
const share = z.strictObject({ used: z.number(), limit: z.number() });
const usage = z.strictObject({
  bytes: share,
  kv_keys: share,
  r2_objects: share,
  queue_messages: share,
  resources: z.array(
    z.strictObject({
      kind: z.string(),
      id: z.string(),
      usage: z.record(z.string(), z.number()),
    }),
  ),
});

const OWNER = {
  dispatch_namespace: "Ours: of this dispatch namespace",
};
const EXPIRES = {
  expiration: "When it expires, in seconds since 1970",
  expiration_ttl: "In how many seconds it expires, 60 at least",
};

export function ofKv(account: string): Record<string, Operation> {
  const all = `${account}/storage/kv/namespaces`;
  const one = `${all}/:kv`;
  const deleted: Operation = { does: "Deletes keys", body: bulk.keyNames, result: counts };
  const used: Operation = { does: "What is kept, of how much may be", result: usage, ours: true };
  return {
    [`GET ${all}`]: {
      does: "KV namespaces",
      query: { order: "`title` or `id`", direction: "`asc` or `desc`", ...OWNER },
      result: namespace,
      list: true,
    },
    [`POST ${all}`]: {
      does: "Makes a KV namespace",
      query: OWNER,
      body: titled,
      result: namespace,
    },
    [`GET ${one}`]: { does: "One KV namespace", result: namespace },
    [`PUT ${one}`]: { does: "Renames a KV namespace", body: titled, result: namespace },
    [`DELETE ${one}`]: { does: "Deletes a KV namespace with all keys", result: z.strictObject({}) },
    [`GET ${one}/keys`]: {
      does: "Keys in their order, page by page with `cursor`",
      query: {
        prefix: "Those that begin so",
        limit: "Of a page, 1000 at most",
        cursor: "`result_info.cursor` of the page before",
      },
      result: key,
      list: true,
    },
    [`GET ${one}/values/:key`]: {
      does: "A value as it is",
      contentType: "application/octet-stream",
    },
    [`PUT ${one}/values/:key`]: {
      does: "Stores the body, or of a form the parts `value` and `metadata`",
      query: EXPIRES,
      result: answer.nothing,
    },
    [`DELETE ${one}/values/:key`]: { does: "Deletes a key", result: answer.nothing },
    [`GET ${one}/metadata/:key`]: { does: "Metadata of a key", result: z.unknown() },
    [`PUT ${one}/bulk`]: { does: "Stores many values", body: bulk.pairs, result: counts },
    [`DELETE ${one}/bulk`]: deleted,
    [`POST ${one}/bulk/delete`]: deleted,
    [`POST ${one}/bulk/get`]: {
      does: "Values of up to 100 keys",
      body: bulk.wanted,
      result: z.strictObject({ values: z.record(z.string(), z.unknown()) }),
    },
    [`GET ${account}/workers/dispatch/namespaces/:namespace/usage`]: used,
    [`GET ${account}/workers/usage`]: used,
  };
}
