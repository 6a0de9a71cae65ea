/** What the store is told of each thing: computed from the registry's tables whenever it is sent. */
import type { LimitSettings } from "../protocol/limits.ts";
import type { ConfigKind, StoreConfig } from "../protocol/store.ts";
import { withFeeds } from "./change-feeds.ts";
import { queueConfigOf } from "./queues.ts";
import { resourceById } from "./resources.ts";
import { scriptConfig } from "./script-events.ts";

/** null: there is no such thing any more. */
export function storeConfigOf(sql: SqlStorage, kind: ConfigKind, id: string): StoreConfig | null {
  if (kind === "script") return scriptConfig(sql, id);
  const resource = resourceById(sql, kind, id);
  if (resource === null) return null;
  const { accountId, namespaceId, namespace, name, settings } = resource;
  const limits = namespaceId === null ? {} : limitsOf(sql, namespaceId);
  const config = { kind, id, accountId, namespaceId, namespace, name, settings, limits };
  return kind === "queue" ? queueConfigOf(sql, config) : withFeeds(sql, config);
}

function limitsOf(sql: SqlStorage, namespaceId: string): LimitSettings {
  const { limits } = sql
    .exec<{ limits: string }>(`SELECT limits FROM namespaces WHERE id = ?`, namespaceId)
    .one();
  return JSON.parse(limits) as LimitSettings;
}
