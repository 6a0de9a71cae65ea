/** `…/storage/kv/namespaces`: KV namespaces themselves. What is in them: values.ts, bulk.ts. */
import * as z from "zod";
import type { ResourceRecord } from "../../registry/resources.ts";
import { accountId, param, registry, type ApiContext } from "../context.ts";
import { ok, page } from "../envelope.ts";
import { ApiError } from "../errors.ts";
import { unwrap } from "../failures.ts";
import { jsonBody } from "../json-body.ts";
import { newOwner, requireSeen, seen, settleStore } from "../resources.ts";

/** Cloudflare's. */
const MAX_TITLE_CHARACTERS = 512;

export const titled = z.object({
  title: z.string().min(1).max(MAX_TITLE_CHARACTERS),
  jurisdiction: z.string().optional(),
});

export async function listNamespaces(c: ApiContext): Promise<Response> {
  const { order = "title", direction = "asc" } = c.req.query();
  const found = (await registry(c).resources(await seen(c, "kv"))).map(toJson);
  const field = order === "id" ? "id" : "title";
  const sign = direction === "desc" ? -1 : 1;
  return page(
    c,
    found.toSorted((a, b) => sign * (a[field] < b[field] ? -1 : 1)),
  );
}

export async function createNamespace(c: ApiContext): Promise<Response> {
  const { title: name, jurisdiction } = await jsonBody(c, titled);
  if (jurisdiction !== undefined) {
    throw new ApiError(
      "notSupported",
      `jurisdiction '${jurisdiction}': there are no jurisdictions here; all data is where the platform runs. Leave it out.`,
    );
  }
  const resource = {
    id: crypto.randomUUID().replaceAll("-", ""),
    accountId: accountId(c),
    namespaceId: await newOwner(c),
    kind: "kv" as const,
    name,
    settings: {},
  };
  const created = unwrap(await registry(c).createResource(resource));
  await settleStore(c);
  return ok(c, toJson(created));
}

export async function getNamespace(c: ApiContext): Promise<Response> {
  return ok(c, toJson(await kvOf(c)));
}

export async function renameNamespace(c: ApiContext): Promise<Response> {
  const { title: name } = await jsonBody(c, titled);
  const { id } = await kvOf(c);
  const renamed = unwrap(await registry(c).updateResource("kv", id, { name }));
  await settleStore(c);
  return ok(c, toJson(renamed));
}

export async function deleteNamespace(c: ApiContext): Promise<Response> {
  const { id } = await kvOf(c);
  unwrap(await registry(c).deleteResource("kv", id));
  await settleStore(c);
  return ok(c, {});
}

/** The `:kv` of the path, if the token may see it. */
export function kvOf(c: ApiContext): Promise<ResourceRecord> {
  return requireSeen(c, "kv", { id: param(c, "kv") });
}

/** `dispatch_namespace` is ours: whose it is, if not the account's. */
function toJson({ id, name: title, namespace }: ResourceRecord) {
  const of = { id, title, supports_url_encoding: true };
  return namespace === null ? of : { ...of, dispatch_namespace: namespace };
}
