/**
 * The outbound Workers of namespaces as they are stored. Each is named by the id of its namespace, which may be
 * renamed; its script may be gone, and then its users' fetches fail. They never go out past it.
 */
import type { OutboundWorker } from "../protocol/outbound.ts";
import { Rejection } from "./failures.ts";
import type { NamespaceRecord } from "./records.ts";

interface StoredOutbound {
  readonly namespaceId: string;
  readonly script: string;
  readonly parameters: readonly string[];
}

export function readOutbound(sql: SqlStorage, stored: string | null): OutboundWorker | null {
  if (stored === null) return null;
  const { namespaceId, script, parameters } = JSON.parse(stored) as StoredOutbound;
  const { name } = sql
    .exec<{ name: string }>(`SELECT name FROM namespaces WHERE id = ?`, namespaceId)
    .one();
  return { namespace: name, script, parameters };
}

/** Throws a Rejection if it does not exist, or if fetches would go through more than one. */
export function writeOutbound(
  sql: SqlStorage,
  accountId: string,
  namespace: NamespaceRecord,
  outbound: OutboundWorker | null,
): void {
  const stored = outbound && resolve(sql, accountId, namespace, outbound);
  sql.exec(
    `UPDATE namespaces SET outbound = ? WHERE id = ?`,
    stored && JSON.stringify(stored),
    namespace.id,
  );
}

/** Namespaces whose outbound Worker is in this one. */
export function outboundUsers(
  sql: SqlStorage,
  namespaceId: string,
): { readonly id: string; readonly name: string }[] {
  return sql
    .exec<{ id: string; name: string }>(
      `SELECT id, name FROM namespaces WHERE json_extract(outbound, '$.namespaceId') = ? ORDER BY name`,
      namespaceId,
    )
    .toArray();
}

function resolve(
  sql: SqlStorage,
  accountId: string,
  { id, name }: NamespaceRecord,
  { namespace, script, parameters }: OutboundWorker,
): StoredOutbound {
  const [target] = sql
    .exec<{ id: string; outbound: string | null }>(
      `SELECT id, outbound FROM namespaces WHERE account_id = ? AND name = ?`,
      accountId,
      namespace,
    )
    .toArray();
  if (!target) throw new Rejection({ reason: "unknown-namespace", namespace });
  if (target.id === id || target.outbound !== null) {
    throw new Rejection({ reason: "outbound-chained", namespace });
  }
  const users = outboundUsers(sql, id).map((user) => user.name);
  if (users.length > 0) throw new Rejection({ reason: "outbound-in-use", namespace: name, users });
  const [found] = sql
    .exec(`SELECT 1 FROM scripts WHERE namespace_id = ? AND name = ?`, target.id, script)
    .toArray();
  if (!found)
    throw new Rejection({ reason: "unknown-script", kind: "dispatch", namespace, script });
  return { namespaceId: target.id, script, parameters };
}
