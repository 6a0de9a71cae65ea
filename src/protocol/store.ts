/**
 * The store is the process that keeps what functions keep: KV namespaces, R2 buckets, D1 databases and queues.
 *
 * Its socket `store/store.sock` is for edges and cells. A request there speaks the wire protocol of the runtime's own
 * binding of that kind (KV, R2, D1, queue producer), so that native bindings and our shims look the same. Which resource is
 * meant stands in STORE_HEADER: in a cell with native bindings the runtime's configuration injects it, in edges and
 * other cells `SkepStore` (src/cell/store-binding.ts) sets it. The store believes it only with a grant (grants.ts).
 *
 * `store/control.sock` is for the hub alone:
 *   any request with STORE_HEADER    the same wire protocols, for the API; needs no grant
 *   PUT    /configs/{kind}/{id}      the whole configuration of one thing, as JSON -> 204; idempotent
 *   DELETE /configs/{kind}/{id}      it is gone, and with it all its data -> 204; idempotent
 *   any    /{kind}/{id}/...          what the API needs beyond that, as each kind's admin.ts says
 * `{kind}` is a ConfigKind.
 */
import type { LimitSettings } from "./limits.ts";

export const STORE_KINDS = ["kv", "r2", "d1", "queue"] as const;
export type StoreKind = (typeof STORE_KINDS)[number];

/** What the hub tells the store of. `script`: its schedules and asynchronous invocations, by id of the script. */
export const CONFIG_KINDS = [...STORE_KINDS, "script"] as const;
export type ConfigKind = (typeof CONFIG_KINDS)[number];

/** JSON of `StoreCall`, in ASCII. */
export const STORE_HEADER = "x-skep-store";

export interface StoreCall {
  readonly kind: StoreKind;
  readonly id: string;
  /** Whose binding it is, and what shows that; absent in calls of the hub. */
  readonly namespace?: string;
  readonly script?: string;
  readonly grant?: string;
}

/** Whose quota a resource counts against: a dispatch namespace's or the account's. `GET /usage/{owner}` of the control socket tells. */
export function quotaOwner(accountId: string, namespaceId: string | null): string {
  return namespaceId ?? `account ${accountId}`;
}

/** What the store is told of a resource. Each kind adds what it needs. */
export interface StoreConfig {
  readonly kind: ConfigKind;
  readonly id: string;
  readonly accountId: string;
  /** The dispatch namespace that it belongs to; null: the account's own. */
  readonly namespaceId: string | null;
  readonly namespace: string | null;
  readonly name: string;
  readonly settings: Readonly<Record<string, unknown>>;
  /** Of the namespace, as far as they are set there (quotas are limits). */
  readonly limits: LimitSettings;
}
