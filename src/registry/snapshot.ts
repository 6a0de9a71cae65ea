/**
 * What is there at one moment, as flat facts that can be compared, for the audit log. Secrets are in it sealed, which
 * changes whenever they are written; `difference` is what may be shown.
 */
import type { AuditFacts } from "./audit.ts";
import { accountNamespace, findNamespace } from "./namespaces.ts";
import type { NamespaceRecord, ScriptRecord, StoredBinding } from "./records.ts";
import { expected } from "./failures.ts";
import { success } from "./result.ts";
import { findRoute } from "./routes.ts";
import { classesOf, type ObjectClassRecord } from "./object-classes.ts";
import { scriptEvents, type ScriptEvents } from "./script-events.ts";
import { findScript } from "./scripts.ts";
import { findToken } from "./tokens.ts";
import { allRoutesOf, type ZoneRoute } from "./zone-routes.ts";
import { requireZone } from "./zones.ts";

export type Subject =
  /** `namespace` null: that of the account's own Workers. */
  | { readonly kind: "script"; readonly namespace: string | null; readonly script: string }
  | { readonly kind: "namespace"; readonly namespace: string }
  | { readonly kind: "route"; readonly id: string }
  | { readonly kind: "token"; readonly id: string }
  | { readonly kind: "zone"; readonly id: string };

export interface Facts {
  readonly [fact: string]: unknown;
}

/** Facts of this name are sealed secrets. */
const SECRET = "secret ";
const HIDDEN = "***";
/** Of one side; a namespace may have had thousands of scripts. A thousand entries have to fit into one answer. */
const MAX_SHOWN = 200;
const MAX_SHOWN_CHARACTERS = 12_000;

export function takeSnapshot(sql: SqlStorage, accountId: string, subject: Subject): Facts | null {
  switch (subject.kind) {
    case "script": {
      const namespace = namespaceOf(sql, accountId, subject.namespace);
      const script = namespace && findByNameOrId(sql, namespace.id, subject.script);
      return script && ofScript(sql, script);
    }
    case "namespace": {
      const namespace = namespaceOf(sql, accountId, subject.namespace);
      return namespace && ofNamespace(sql, namespace);
    }
    case "route": {
      const found = findRoute(sql, accountId, subject.id);
      return found && { ...found };
    }
    case "token": {
      const found = findToken(sql, accountId, subject.id);
      if (!found.ok) return null;
      const { name, namespaces, permissions, expiresOn } = found.value;
      return { name, namespaces, permissions, expiresOn };
    }
    case "zone": {
      const found = expected(() => success(requireZone(sql, accountId, subject.id)));
      if (!found.ok) return null;
      const { id, name } = found.value;
      return { name, ...ofRoutes(allRoutesOf(sql, { zoneId: id }), ({ script }) => script) };
    }
  }
}

/** What differs between two snapshots, each side with its own values. null where there was nothing. */
export function difference(
  before: Facts | null,
  after: Facts | null,
): { before: AuditFacts | null; after: AuditFacts | null } {
  return { before: onlyIn(before, after), after: onlyIn(after, before) };
}

export function isSame(before: Facts | null, after: Facts | null): boolean {
  return JSON.stringify(before) === JSON.stringify(after);
}

function onlyIn(own: Facts | null, others: Facts | null): AuditFacts | null {
  if (own === null) return null;
  const differing = Object.entries(own).filter(
    ([name, value]) => JSON.stringify(value) !== JSON.stringify(others?.[name]),
  );
  const facts = differing
    .slice(0, MAX_SHOWN)
    .map(([name, value]) => [name, name.startsWith(SECRET) ? HIDDEN : value] as const);
  let room = MAX_SHOWN_CHARACTERS;
  const shown = facts.filter((fact) => {
    const { length } = JSON.stringify(fact);
    if (length > room) return false;
    room -= length;
    return true;
  });
  const more = differing.length - shown.length;
  return Object.fromEntries(more > 0 ? [...shown, ["and more", more]] : shown);
}

function namespaceOf(
  sql: SqlStorage,
  accountId: string,
  name: string | null,
): NamespaceRecord | null {
  if (name === null) return accountNamespace(sql, accountId);
  const found = findNamespace(sql, accountId, name);
  return found.ok ? found.value : null;
}

/** Some of Cloudflare's paths take either. */
function findByNameOrId(sql: SqlStorage, namespaceId: string, script: string): ScriptRecord | null {
  const [row] = sql
    .exec<{ name: string }>(
      `SELECT name FROM scripts WHERE namespace_id = ?1 AND (name = ?2 OR id = ?2)`,
      namespaceId,
      script,
    )
    .toArray();
  return row ? findScript(sql, namespaceId, row.name) : null;
}

function ofScript(sql: SqlStorage, script: ScriptRecord) {
  const { id, settings, limits, version, deployment } = script;
  const { newest } = sql
    .exec<{ newest: string }>(
      `SELECT id AS newest FROM versions WHERE script_id = ? ORDER BY number DESC LIMIT 1`,
      id,
    )
    .one();
  return {
    "newest version": newest,
    deployment: deployment.shares,
    code: version.code.blob,
    ...version.settings,
    ...settings,
    "limits of the script": limits,
    ...ofEvents(scriptEvents(sql, id)),
    ...ofClasses(classesOf(sql, id)),
    ...Object.fromEntries(version.bindings.map(ofBinding)),
    ...ofRoutes(allRoutesOf(sql, script), ({ zone }) => zone),
  };
}

/** With the key, which a rename keeps. */
function ofClasses(classes: readonly ObjectClassRecord[]): Facts {
  return Object.fromEntries(classes.map(({ className, key }) => [`class ${className}`, key]));
}

function ofEvents({ schedules, invocations }: ScriptEvents): Facts {
  return {
    ...(schedules.length > 0 && { schedules: schedules.map(({ cron }) => cron) }),
    ...(invocations !== null && { invocations }),
  };
}

function ofRoutes(routes: readonly ZoneRoute[], seen: (route: ZoneRoute) => unknown): Facts {
  return Object.fromEntries(
    routes.map((route) => [
      `${route.isCustomDomain ? "custom domain" : "route"} ${route.pattern}`,
      seen(route),
    ]),
  );
}

/** Values are left out: variables hold what their owners would not show, too. */
function ofBinding(binding: StoredBinding): [string, unknown] {
  return binding.type === "secret_text"
    ? [`${SECRET}${binding.name}`, binding.sealed]
    : [`binding ${binding.name}`, binding.type];
}

function ofNamespace(sql: SqlStorage, namespace: NamespaceRecord): Facts {
  const { id, name, trustedWorkers, isolation, outbound, tailConsumers, limits } = namespace;
  const scripts = sql
    .exec<{ name: string; version: string }>(
      `SELECT name, version_id AS version FROM scripts WHERE namespace_id = ? ORDER BY name`,
      id,
    )
    .toArray();
  return {
    name,
    trustedWorkers,
    isolation,
    outbound,
    tailConsumers,
    limits,
    ...Object.fromEntries(scripts.map((script) => [`script ${script.name}`, script.version])),
  };
}
