/**
 * Resources: the KV namespaces, R2 buckets, D1 databases and queues that an account has. Here is only that they exist, whose
 * they are and how they are set; what is in them is in the store process, which learns of every change by the outbox
 * (store-delivery.ts). Functions that write are called in a transaction.
 */
import type { StoreKind } from "../protocol/store.ts";
import { Rejection } from "./failures.ts";

/**
 * `namespaceId`: the dispatch namespace that it belongs to, whose Workers may be bound to it and with which it goes; null:
 * the account's own.
 */
export interface ResourceRecord {
  readonly id: string;
  readonly accountId: string;
  readonly namespaceId: string | null;
  /** Of the namespace; null likewise. */
  readonly namespace: string | null;
  readonly kind: StoreKind;
  /** Title of a KV namespace; else its name. Unique among those of its kind and owner. */
  readonly name: string;
  /** What else there is to it, by kind. */
  readonly settings: Readonly<Record<string, unknown>>;
  readonly createdOn: number;
  readonly modifiedOn: number;
}

export interface NewResource extends Pick<
  ResourceRecord,
  "accountId" | "namespaceId" | "kind" | "name" | "settings"
> {
  /** 32 hex digits or a UUID, as each kind has it. */
  readonly id: string;
}

/** Which of an account's. */
export interface ResourceQuery {
  readonly accountId: string;
  readonly kind: StoreKind;
  /** Ids of the namespaces whose resources are looked at; `null` in it: the account's own. Absent: all. */
  readonly owners?: readonly (string | null)[] | undefined;
}

/** Of one kind, in a dispatch namespace or in the account beside them. */
const MAX_RESOURCES = 10_000;

const SELECT = `
  SELECT resources.*, namespaces.name AS namespace
  FROM resources LEFT JOIN namespaces ON namespaces.id = resources.namespace_id`;

/** By name. */
export function listResources(
  sql: SqlStorage,
  { accountId, kind, owners }: ResourceQuery,
): ResourceRecord[] {
  return sql
    .exec<ResourceRow>(
      `${SELECT} WHERE resources.account_id = ? AND resources.kind = ? ORDER BY resources.name, resources.id`,
      accountId,
      kind,
    )
    .toArray()
    .map(toResource)
    .filter(({ namespaceId }) => owners === undefined || owners.includes(namespaceId));
}

/** By id, or by name: of several with one name, the one whose owner comes first in `owners`. */
export function findResource(
  sql: SqlStorage,
  { accountId, kind, owners }: ResourceQuery,
  by: { readonly id: string } | { readonly name: string },
): ResourceRecord | null {
  const [column, value] = "id" in by ? ["resources.id", by.id] : ["resources.name", by.name];
  const found = sql
    .exec<ResourceRow>(
      `${SELECT} WHERE resources.account_id = ? AND resources.kind = ? AND ${column} = ?
       ORDER BY resources.namespace_id IS NOT NULL, resources.namespace_id`,
      accountId,
      kind,
      value,
    )
    .toArray()
    .map(toResource);
  if (owners === undefined) return found[0] ?? null;
  for (const owner of owners) {
    const own = found.find(({ namespaceId }) => namespaceId === owner);
    if (own) return own;
  }
  return null;
}

/** Of any account. */
export function resourceById(sql: SqlStorage, kind: StoreKind, id: string): ResourceRecord | null {
  const [row] = sql
    .exec<ResourceRow>(`${SELECT} WHERE resources.kind = ? AND resources.id = ?`, kind, id)
    .toArray();
  return row ? toResource(row) : null;
}

export function createResource(
  sql: SqlStorage,
  resource: NewResource,
  now: number,
): ResourceRecord {
  refuseTakenName(sql, resource);
  refuseOneTooMany(sql, resource);
  sql.exec(
    `INSERT INTO resources (id, account_id, namespace_id, kind, name, settings, created_on, modified_on)
     VALUES (?, ?, ?, ?, ?, ?, ?, ?)`,
    resource.id,
    resource.accountId,
    resource.namespaceId,
    resource.kind,
    resource.name,
    JSON.stringify(resource.settings),
    now,
    now,
  );
  return requireResource(sql, resource.kind, resource.id);
}

/** Absent members are kept. */
export function updateResource(
  sql: SqlStorage,
  resource: ResourceRecord,
  patch: Partial<Pick<ResourceRecord, "name" | "settings">>,
  now: number,
): ResourceRecord {
  const next = { ...resource, ...patch };
  if (next.name !== resource.name) refuseTakenName(sql, next);
  sql.exec(
    `UPDATE resources SET name = ?, settings = ?, modified_on = ? WHERE id = ? AND resources.kind = ?`,
    next.name,
    JSON.stringify(next.settings),
    now,
    resource.id,
    resource.kind,
  );
  return requireResource(sql, resource.kind, resource.id);
}

/** Its data go once the store has been told. */
export function deleteResource(
  sql: SqlStorage,
  { kind, id }: Pick<ResourceRecord, "kind" | "id">,
): void {
  sql.exec(`DELETE FROM resources WHERE kind = ? AND id = ?`, kind, id);
}

export function requireResource(sql: SqlStorage, kind: StoreKind, id: string): ResourceRecord {
  const found = resourceById(sql, kind, id);
  if (!found) throw new Rejection({ reason: "unknown-resource", kind, id });
  return found;
}

/** Each has files and, while it is used, memory of its own. */
function refuseOneTooMany(
  sql: SqlStorage,
  { accountId, kind, namespaceId }: Omit<NewResource, "settings">,
): void {
  const { count } = sql
    .exec<{ count: number }>(
      `SELECT COUNT(*) AS count FROM resources WHERE account_id = ? AND kind = ? AND namespace_id IS ?`,
      accountId,
      kind,
      namespaceId,
    )
    .one();
  if (count < MAX_RESOURCES) return;
  throw new Rejection({ reason: "too-many-resources", kind, max: MAX_RESOURCES });
}

function refuseTakenName(
  sql: SqlStorage,
  { accountId, kind, namespaceId, name }: Omit<NewResource, "settings">,
): void {
  const found = findResource(sql, { accountId, kind, owners: [namespaceId] }, { name });
  if (found === null) return;
  throw new Rejection({ reason: "resource-exists", kind, name, id: found.id });
}

interface ResourceRow extends Record<string, SqlStorageValue> {
  id: string;
  account_id: string;
  namespace_id: string | null;
  namespace: string | null;
  kind: string;
  name: string;
  settings: string;
  created_on: number;
  modified_on: number;
}

function toResource(row: ResourceRow): ResourceRecord {
  return {
    id: row.id,
    accountId: row.account_id,
    namespaceId: row.namespace_id,
    namespace: row.namespace,
    kind: row.kind as StoreKind,
    name: row.name,
    settings: JSON.parse(row.settings) as Record<string, unknown>,
    createdOn: row.created_on,
    modifiedOn: row.modified_on,
  };
}
