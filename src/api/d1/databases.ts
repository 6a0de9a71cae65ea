/** `…/d1/database`: D1 databases themselves. What is in them: queries.ts, transfers.ts, time-travel.ts. */
import * as z from "zod";
import type { ResourceRecord } from "../../registry/resources.ts";
import type { DatabaseInfo } from "../../store/d1/admin.ts";
import { accountId, param, registry, type ApiContext } from "../context.ts";
import { ok, pageOf, partOf } from "../envelope.ts";
import { ApiError } from "../errors.ts";
import { unwrap } from "../failures.ts";
import { jsonBody } from "../json-body.ts";
import { newOwner, requireSeen, seen, settleStore } from "../resources.ts";
import { iso } from "../user.ts";
import { askDatabase } from "./store.ts";

const replication = z.object({ mode: z.enum(["auto", "disabled"]) });

export const creation = z.object({
  name: z.string().regex(/^[\w-]{1,64}$/, "must have 1 to 64 letters, digits, '-' and '_'"),
  primary_location_hint: z.string().nullish(),
  jurisdiction: z.string().nullish(),
  read_replication: replication.optional(),
});

export const change = z.object({ read_replication: replication.optional() });

/** Cloudflare's. */
const PAGE_SIZE = 1000;
const UUID = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

export async function listDatabases(c: ApiContext): Promise<Response> {
  const wanted = c.req.query("name");
  const all = await registry(c).resources(await seen(c, "d1"));
  const found = all.filter(({ name }) => wanted === undefined || name === wanted);
  const part = partOf(c, PAGE_SIZE);
  const start = (part.number - 1) * part.size;
  return pageOf(c, part, found.slice(start, start + part.size).map(toJson), found.length);
}

export async function createDatabase(c: ApiContext): Promise<Response> {
  const { name, jurisdiction } = await jsonBody(c, creation);
  if (jurisdiction != null) {
    throw new ApiError(
      "notSupported",
      `jurisdiction '${jurisdiction}': there are no jurisdictions here; all data is where the platform runs. Leave it out.`,
    );
  }
  const resource = {
    id: crypto.randomUUID(),
    accountId: accountId(c),
    namespaceId: await newOwner(c),
    kind: "d1" as const,
    name,
    settings: {},
  };
  const created = unwrap(await registry(c).createResource(resource));
  await settleStore(c);
  return ok(c, toJson(created));
}

export async function getDatabase(c: ApiContext): Promise<Response> {
  const database = await databaseOf(c);
  const { bytes, tables } = await askDatabase<DatabaseInfo>(c, database.id, "GET", "info");
  const all: Record<string, unknown> = {
    ...toJson(database),
    num_tables: tables,
    file_size: bytes,
    read_replication: { mode: "disabled" },
  };
  const fields = c.req.query("fields")?.split(",");
  if (fields === undefined) return ok(c, all);
  return ok(c, Object.fromEntries(fields.map((field) => [field, all[field]])));
}

/** There is one copy of each, so that both modes come to the same. */
export async function updateDatabase(c: ApiContext): Promise<Response> {
  await jsonBody(c, change);
  return getDatabase(c);
}

export async function deleteDatabase(c: ApiContext): Promise<Response> {
  const { id } = await databaseOf(c);
  unwrap(await registry(c).deleteResource("d1", id));
  await settleStore(c);
  return ok(c, null);
}

/** The `:database` of the path, an id or a name, if the token may see it. */
export function databaseOf(c: ApiContext): Promise<ResourceRecord> {
  const given = decodeURIComponent(param(c, "database"));
  return requireSeen(c, "d1", UUID.test(given) ? { id: given } : { name: given });
}

/** `dispatch_namespace` is ours: whose it is, if not the account's. */
function toJson({ id, name, namespace, createdOn }: ResourceRecord) {
  const database = { uuid: id, name, version: "production", created_at: iso(createdOn) };
  return namespace === null ? database : { ...database, dispatch_namespace: namespace };
}
