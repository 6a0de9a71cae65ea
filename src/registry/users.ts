/** Who depends on a Worker of the account, for those who are about to delete it. */
import { boundScripts, classesOf } from "./object-classes.ts";
import { findScript } from "./scripts.ts";

export interface Users {
  /** Workers that have a service binding to it. */
  readonly services: readonly string[];
  /** Workers whose trace events it gets. */
  readonly tails: readonly string[];
  /** Workers whose binding to a dispatch namespace names it as the outbound Worker. */
  readonly dispatchers: readonly { readonly script: string; readonly namespace: string }[];
  /** Workers that are bound to a class of its Durable Objects. */
  readonly objects: readonly {
    readonly script: string;
    readonly key: string;
    readonly className: string;
  }[];
}

/** As of the versions with the largest share of traffic. */
export function findUsers(sql: SqlStorage, namespaceId: string, script: string): Users {
  const found = findScript(sql, namespaceId, script);
  const classes = found === null ? [] : classesOf(sql, found.id);
  const users = boundScripts(
    sql,
    found?.id ?? "",
    classes.map(({ key }) => key),
  );
  const bindings = sql
    .exec<{ script: string; type: string; namespace: string | null }>(
      `SELECT DISTINCT scripts.name AS script, binding.value ->> 'type' AS type, binding.value ->> 'namespace' AS namespace
       FROM scripts JOIN versions ON versions.id = scripts.version_id, json_each(versions.bindings) AS binding
       WHERE scripts.namespace_id = ? AND (
         (binding.value ->> 'type' = 'service' AND binding.value ->> 'service' = ?) OR
         (binding.value ->> 'type' = 'dispatch_namespace' AND binding.value ->> '$.outbound.service' = ?))
       ORDER BY scripts.name`,
      namespaceId,
      script,
      script,
    )
    .toArray();
  const tails = sql
    .exec<{ name: string }>(
      `SELECT DISTINCT name FROM scripts, json_each(scripts.tail_consumers) AS consumer
       WHERE namespace_id = ? AND consumer.value = ? ORDER BY name`,
      namespaceId,
      script,
    )
    .toArray();
  return {
    services: bindings.filter(({ type }) => type === "service").map((found) => found.script),
    tails: tails.map(({ name }) => name),
    dispatchers: bindings.flatMap((found) =>
      found.namespace === null ? [] : [{ script: found.script, namespace: found.namespace }],
    ),
    objects: users.map((user) => ({
      ...user,
      className: classes.find(({ key }) => key === user.key)?.className ?? "",
    })),
  };
}
