/** Scripts and versions as they are read, and the changes of a script that make no version. */
import type { LimitSettings } from "../protocol/limits.ts";
import type { Isolation } from "../protocol/placement.ts";
import { beginChange } from "./generation.ts";
import { unknownScript } from "./namespaces.ts";
import { IS_STATEFUL, ISOLATION, ownersOf } from "./object-classes.ts";
import { homeOf } from "./object-home.ts";
import type {
  DeploymentRecord,
  ScriptRecord,
  ScriptSettings,
  ScriptSummary,
  VersionInPlace,
} from "./records.ts";
import type { TrustRecord } from "./trust.ts";
import { dropRoutesTo } from "./zones.ts";
import { toTrust, TRUST_COLUMNS, type TrustRow } from "./trust-store.ts";
import { toVersion, type VersionRow } from "./versions.ts";

const SELECT = `
  SELECT scripts.id AS script_id, scripts.name, scripts.namespace_id, namespaces.name AS namespace,
    scripts.tags, scripts.logpush, scripts.observability, scripts.limits, scripts.workers_dev, scripts.previews,
    scripts.tail_consumers, scripts.migration_tag, ${IS_STATEFUL} AS is_stateful, deployments.id AS deployment_id, deployments.created_on AS deployed_on,
    deployments.author AS deployed_by, deployments.source AS deployed_from, deployments.shares,
    deployments.annotations AS deployment_annotations,
    scripts.created_on AS script_created_on, scripts.modified_on, versions.*, ${TRUST_COLUMNS}
  FROM scripts
  JOIN namespaces ON namespaces.id = scripts.namespace_id
  JOIN deployments ON deployments.id = scripts.deployment_id`;

const WITH_TRUST = `JOIN trust ON trust.version_id = versions.id`;
const IN_FORCE = `${SELECT} JOIN versions ON versions.id = scripts.version_id ${WITH_TRUST}`;

export function listScripts(sql: SqlStorage, namespaceId: string): ScriptSummary[] {
  return sql
    .exec<ScriptRow>(
      `${IN_FORCE} WHERE scripts.namespace_id = ? ORDER BY scripts.name`,
      namespaceId,
    )
    .toArray()
    .map(toSummary);
}

export function findScript(
  sql: SqlStorage,
  namespaceId: string,
  script: string,
): ScriptRecord | null {
  const [row] = sql
    .exec<ScriptRow>(
      `${IN_FORCE} WHERE scripts.namespace_id = ? AND scripts.name = ?`,
      namespaceId,
      script,
    )
    .toArray();
  return row ? toScript(row) : null;
}

export function requireScript(sql: SqlStorage, namespaceId: string, script: string): ScriptRecord {
  const found = findScript(sql, namespaceId, script);
  if (found) return found;
  throw unknownScript(sql, namespaceId, script);
}

/** As `findScript`, with the version that was uploaded last, deployed or not, as its version. */
export function findNewest(
  sql: SqlStorage,
  namespaceId: string,
  script: string,
): ScriptRecord | null {
  const [row] = sql
    .exec<ScriptRow>(
      `${SELECT} JOIN versions ON versions.script_id = scripts.id ${WITH_TRUST}
       WHERE scripts.namespace_id = ? AND scripts.name = ? ORDER BY versions.number DESC LIMIT 1`,
      namespaceId,
      script,
    )
    .toArray();
  return row ? toScript(row) : null;
}

/** Any version that is still kept, also one that gets no traffic any more. */
export function findVersion(sql: SqlStorage, versionId: string): VersionInPlace | null {
  const [row] = sql
    .exec<ScriptRow>(
      `${SELECT} JOIN versions ON versions.script_id = scripts.id ${WITH_TRUST} WHERE versions.id = ?`,
      versionId,
    )
    .toArray();
  if (!row) return null;
  const { id, namespaceId, namespace, name, version } = toScript(row);
  const objects = homeOf(sql, id);
  return {
    namespaceId,
    namespace,
    script: name,
    version,
    objects,
    classOwners: ownersOf(sql, version),
  };
}

/** Every function of the platform, by the names that metrics use. */
export function listFunctions(sql: SqlStorage): FunctionName[] {
  return sql
    .exec<FunctionRow>(
      `SELECT namespaces.id AS namespace_id, namespaces.name AS namespace, scripts.name AS script,
         ${ISOLATION} AS isolation, ${TRUST_COLUMNS}
       FROM scripts
       JOIN namespaces ON namespaces.id = scripts.namespace_id
       JOIN trust ON trust.version_id = scripts.version_id
       ORDER BY namespaces.name, scripts.name`,
    )
    .toArray()
    .map((row) => ({
      namespaceId: row.namespace_id,
      namespace: row.namespace,
      script: row.script,
      isolation: row.isolation as Isolation | null,
      trust: toTrust(row),
    }));
}

export interface FunctionName {
  readonly namespaceId: string;
  readonly namespace: string;
  readonly script: string;
  /** Of the namespace; null: the platform's. */
  readonly isolation: Isolation | null;
  readonly trust: TrustRecord;
}

interface FunctionRow extends TrustRow {
  namespace_id: string;
  namespace: string;
  script: string;
  isolation: string | null;
}

/** Of these edges are told. */
const EDGE_SETTINGS = [
  "workersDev",
  "previews",
  "tailConsumers",
  "observability",
] as const satisfies readonly (keyof ScriptSettings)[];

/** Changes what is not versioned. Returns the generation of the change; 0: no edge has to know. */
export function updateScript(
  sql: SqlStorage,
  script: ScriptRecord,
  patch: Partial<ScriptSettings>,
  now: number,
): number {
  const settings = { ...script.settings, ...patch };
  sql.exec(
    `UPDATE scripts SET tags = ?, logpush = ?, observability = ?, workers_dev = ?, previews = ?, tail_consumers = ?,
       modified_on = ? WHERE id = ?`,
    JSON.stringify(settings.tags),
    Number(settings.logpush),
    settings.observability && JSON.stringify(settings.observability),
    Number(settings.workersDev),
    Number(settings.previews),
    JSON.stringify(settings.tailConsumers),
    now,
    script.id,
  );
  const same = EDGE_SETTINGS.every(
    (key) => JSON.stringify(settings[key]) === JSON.stringify(script.settings[key]),
  );
  if (same) return 0;
  const change = beginChange(sql);
  change.script(script.namespace, script.name);
  return change.generation;
}

/** Returns the generation of the change. */
export function setScriptLimits(
  sql: SqlStorage,
  script: ScriptRecord,
  limits: LimitSettings,
): number {
  sql.exec(`UPDATE scripts SET limits = ? WHERE id = ?`, JSON.stringify(limits), script.id);
  const change = beginChange(sql);
  change.script(script.namespace, script.name);
  return change.generation;
}

/** Deletes scripts of one namespace with their versions. Returns the generation of the change. */
export function deleteScripts(sql: SqlStorage, scripts: readonly ScriptRecord[]): number {
  const change = beginChange(sql);
  for (const script of scripts) {
    const { id, namespace, name } = script;
    sql.exec(`DELETE FROM scripts WHERE id = ?`, id);
    change.script(namespace, name);
    dropRoutesTo(sql, change, script);
  }
  return change.generation;
}

interface ScriptRow extends TrustRow, VersionRow {
  [column: string]: SqlStorageValue;
  script_id: string;
  name: string;
  namespace_id: string;
  namespace: string;
  tags: string;
  logpush: number;
  observability: string | null;
  workers_dev: number;
  previews: number;
  tail_consumers: string;
  migration_tag: string | null;
  is_stateful: number;
  deployment_id: string;
  deployed_on: number;
  deployed_by: string;
  deployed_from: string;
  shares: string;
  deployment_annotations: string;
  limits: string;
  script_created_on: number;
  modified_on: number;
}

function toSummary(row: ScriptRow): ScriptSummary {
  const { version, ...script } = toScript(row);
  const { bindings: _, ...summary } = version;
  return { ...script, version: summary };
}

function toScript(row: ScriptRow): ScriptRecord {
  return {
    id: row.script_id,
    name: row.name,
    namespaceId: row.namespace_id,
    namespace: row.namespace,
    createdOn: row.script_created_on,
    modifiedOn: row.modified_on,
    settings: {
      tags: JSON.parse(row.tags) as string[],
      logpush: row.logpush !== 0,
      observability:
        row.observability === null
          ? null
          : (JSON.parse(row.observability) as Record<string, unknown>),
      workersDev: row.workers_dev !== 0,
      previews: row.previews !== 0,
      tailConsumers: JSON.parse(row.tail_consumers) as string[],
    },
    limits: JSON.parse(row.limits) as LimitSettings,
    trust: toTrust(row),
    version: toVersion(row),
    deployment: {
      id: row.deployment_id,
      createdOn: row.deployed_on,
      author: row.deployed_by,
      source: row.deployed_from,
      shares: JSON.parse(row.shares) as DeploymentRecord["shares"],
      annotations: JSON.parse(row.deployment_annotations) as Record<string, string>,
    },
    migrationTag: row.migration_tag,
    isStateful: row.is_stateful !== 0,
  };
}
