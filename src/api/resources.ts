/**
 * Whose a KV namespace, R2 bucket, D1 database or queue is. One that a token for a dispatch namespace makes belongs to that
 * namespace: its Workers alone may be bound to it, and it goes with it. What a token for the whole account makes is the
 * account's, unless it asks for a namespace with `?dispatch_namespace=`; Workers of any namespace may be bound to the account's
 * by such a token.
 */
import type { StoreKind } from "../protocol/store.ts";
import { STORE_KINDS_OF } from "../registry/bundle.ts";
import {
  STORAGE_BINDING_TYPES,
  type NamespaceRecord,
  type StorageBinding,
} from "../registry/records.ts";
import { isHidden } from "../registry/queues.ts";
import type { ResourceQuery, ResourceRecord } from "../registry/resources.ts";
import { mayTouch, refuseOtherNamespace } from "./auth.ts";
import { accountId, registry, type ApiContext } from "./context.ts";
import type { CodeName } from "./codes.ts";
import { ApiError } from "./errors.ts";
import { RESOURCE_WORDS, unwrap } from "./failures.ts";
import type { ClearBinding, StorageReference } from "./upload/binding.ts";

/** To whom a new resource belongs: the id of a dispatch namespace, or null, the account. */
export async function newOwner(c: ApiContext): Promise<string | null> {
  const asked = c.req.query("dispatch_namespace");
  const { namespaces } = c.var.token;
  if (asked !== undefined) refuseOtherNamespace(c, asked);
  const name = asked ?? (namespaces?.length === 1 ? namespaces[0] : undefined);
  if (name !== undefined) {
    const account = await registry(c).accountNamespace(accountId(c));
    if (name === account.name) return null;
    return unwrap(await registry(c).namespace(accountId(c), name)).id;
  }
  if (namespaces === null) return null;
  throw new ApiError(
    "invalid",
    `this token is for the namespaces ${namespaces.join(", ")}: say with ?dispatch_namespace= to which of them this belongs.`,
  );
}

/** The resources that the token may see: all of the account, or those of its namespaces. */
export async function seen(c: ApiContext, kind: StoreKind): Promise<ResourceQuery> {
  const query = { accountId: accountId(c), kind };
  const { namespaces } = c.var.token;
  const asked = c.req.query("dispatch_namespace");
  if (namespaces === null && asked === undefined) return query;
  if (asked !== undefined) refuseOtherNamespace(c, asked);
  const names = asked === undefined ? (namespaces ?? []) : [asked];
  const account = await registry(c).accountNamespace(accountId(c));
  const all = await registry(c).namespaces(accountId(c));
  const owners = all.filter(({ name }) => names.includes(name)).map(({ id }) => id);
  return { ...query, owners: names.includes(account.name) ? [...owners, null] : owners };
}

/** By id, or by name where the API names things so. Refuses as if it did not exist what the token may not see. */
export async function requireSeen(
  c: ApiContext,
  kind: StoreKind,
  by: { readonly id: string } | { readonly name: string },
): Promise<ResourceRecord> {
  const found = await registry(c).resource(await seen(c, kind), by);
  if (found !== null) return found;
  throw noResource(kind, "id" in by ? by.id : by.name);
}

/** Waits until the store has taken what was changed. */
export async function settleStore(c: ApiContext): Promise<void> {
  unwrap(await registry(c).settleStore());
}

export function isStorage(binding: ClearBinding): binding is StorageReference {
  return (STORAGE_BINDING_TYPES as readonly string[]).includes(binding.type);
}

/** The resource that a Worker of `namespace` is to be bound to. */
export async function findStorage(
  c: ApiContext,
  namespace: NamespaceRecord,
  { reference, ...binding }: StorageReference,
): Promise<StorageBinding> {
  const { name, type } = binding;
  const by = type === "kv_namespace" || type === "d1" ? { id: reference } : { name: reference };
  const what = `binding ${name} of type ${type}`;
  const found = await findReachable(c, namespace, STORE_KINDS_OF[type], by, what);
  return { ...binding, resourceId: found.id, resourceName: found.name };
}

/** A resource that Workers of `namespace` may be bound to. `what` leads there, for whoever reads that there is none. */
export async function findReachable(
  c: ApiContext,
  namespace: NamespaceRecord,
  kind: StoreKind,
  by: { readonly id: string } | { readonly name: string },
  what: string,
): Promise<ResourceRecord> {
  const account = await registry(c).accountNamespace(accountId(c));
  const isAccounts = namespace.kind === "account";
  // The account's own are for those who may touch its Workers: a customer must not reach them by their ids.
  const owners = isAccounts ? [null] : [namespace.id, ...(mayTouch(c, account.name) ? [null] : [])];
  const found = await registry(c).resource({ accountId: accountId(c), kind, owners }, by);
  if (found !== null && !isHidden(found)) return found;
  const where = isAccounts
    ? "in this account"
    : `in the dispatch namespace '${namespace.name}' or, for this token, in the account`;
  const reference = "id" in by ? by.id : by.name;
  throw new ApiError(
    "noBoundResource",
    `${what} leads to the ${RESOURCE_WORDS[kind]} '${reference}', which does not exist ${where}. Create it first.`,
  );
}

const ABSENT: Readonly<Partial<Record<StoreKind, CodeName>>> = {
  kv: "kvNamespaceNotFound",
  d1: "d1NotFound",
  r2: "bucketNotFound",
};

/** With the number that wrangler knows for this kind. */
export function noResource(kind: StoreKind, reference: string): ApiError {
  return new ApiError(
    ABSENT[kind] ?? "resourceNotFound",
    `There is no ${RESOURCE_WORDS[kind]} '${reference}' that this token may see.`,
  );
}
