/**
 * What edges are told of a script, or of a preview: the versions that get traffic, the places that their trust gives
 * them, the limits that hold.
 */
import type { CellRequest } from "../protocol/incident.ts";
import { effectiveLimits, type Limits, type LimitSettings } from "../protocol/limits.ts";
import type { Isolation, Place } from "../protocol/placement.ts";
import type { ScriptState, VersionShare, VersionState } from "../protocol/routing.ts";
import { ASSETS_COLUMNS, assetsOf, type AssetsRow } from "./assets-state.ts";
import type { Policy } from "./env.ts";
import type { Outcome } from "./failures.ts";
import { classesOf, IS_STATEFUL, ISOLATION } from "./object-classes.ts";
import { homeOf } from "./object-home.ts";
import { readOutbound } from "./outbound.ts";
import { findPreview } from "./previews.ts";
import type { DeploymentRecord } from "./records.ts";
import { failure, success } from "./result.ts";
import { derivePlace } from "./trust.ts";
import { tracedOf } from "./tracing.ts";
import { toTrust, TRUST_COLUMNS, type TrustRow } from "./trust-store.ts";

const SELECT = `
  SELECT versions.id AS version_id, namespaces.name AS namespace, scripts.name AS script, json_extract(versions.settings, '$.limits') AS version_limits,
    ${ASSETS_COLUMNS},
    scripts.limits AS script_limits, namespaces.limits AS namespace_limits,
    ${ISOLATION} AS isolation, ${IS_STATEFUL} AS is_stateful, scripts.id AS script_id, namespaces.trusted_workers, namespaces.outbound, namespaces.kind,
    scripts.workers_dev, versions.number, versions.superseded_on, ${TRUST_COLUMNS}
  FROM versions
  JOIN trust ON trust.version_id = versions.id
  JOIN scripts ON scripts.id = versions.script_id
  JOIN namespaces ON namespaces.id = scripts.namespace_id`;

interface Row extends TrustRow, AssetsRow {
  version_id: string;
  namespace: string;
  script: string;
  version_limits: string | null;
  script_limits: string;
  namespace_limits: string;
  isolation: string | null;
  trusted_workers: number;
  outbound: string | null;
  kind: string;
  workers_dev: number;
  script_id: string;
  is_stateful: number;
  number: number;
  superseded_on: number | null;
}

interface DeploymentRow extends Record<string, SqlStorageValue> {
  version_id: string;
  shares: string;
}

/** By the names that edges use. */
export function scriptState(
  sql: SqlStorage,
  policy: Policy,
  generation: number,
  namespace: string,
  script: string,
): ScriptState {
  const name = { generation, namespace, script };
  const [deployed] = sql
    .exec<DeploymentRow>(
      `SELECT scripts.version_id, deployments.shares FROM scripts
       JOIN namespaces ON namespaces.id = scripts.namespace_id
       JOIN deployments ON deployments.id = scripts.deployment_id
       WHERE namespaces.name = ? AND scripts.name = ?`,
      namespace,
      script,
    )
    .toArray();
  if (!deployed) return previewState(sql, policy, name);
  const row = requireRow(sql, deployed.version_id);
  const shares = JSON.parse(deployed.shares) as DeploymentRecord["shares"];
  return {
    ...name,
    ...baseState(sql, policy, row),
    ...(shares.length > 1 && { shares: versionShares(sql, policy, shares) }),
    ...(row.workers_dev === 0 && { workersDev: false }),
  };
}

function previewState(
  sql: SqlStorage,
  policy: Policy,
  name: Pick<ScriptState, "generation" | "namespace" | "script">,
): ScriptState {
  const preview = findPreview(sql, name.namespace, name.script);
  if (!preview?.isOn) return absentState(sql, name);
  const row = requireRow(sql, preview.versionId);
  if (mayNotRun(row)) return absentState(sql, name);
  return { ...name, ...baseState(sql, policy, row), previewOf: preview.script };
}

/** Of one that was deleted something may still be to be told, by the way that its fetches went. */
function absentState(
  sql: SqlStorage,
  name: Pick<ScriptState, "generation" | "namespace" | "script">,
): ScriptState {
  const [row] = sql
    .exec<{ outbound: string | null }>(
      `SELECT outbound FROM namespaces WHERE name = ?`,
      name.namespace,
    )
    .toArray();
  const outbound = readOutbound(sql, row?.outbound ?? null);
  return { ...name, versionId: null, ...(outbound !== null && { outbound }) };
}

/** In the order of their making, so that a change of percentages leads as few clients as possible elsewhere. */
function versionShares(
  sql: SqlStorage,
  policy: Policy,
  shares: DeploymentRecord["shares"],
): VersionShare[] {
  return shares
    .map(({ versionId, percentage }) => ({ row: requireRow(sql, versionId), percentage }))
    .sort((a, b) => a.row.number - b.row.number)
    .map(({ row, percentage }) => ({ ...versionState(row, policy), percentage }));
}

/** What holds however the version is called. */
function baseState(sql: SqlStorage, policy: Policy, row: Row) {
  const outbound = readOutbound(sql, row.outbound);
  return {
    ...versionState(row, policy),
    trusted: row.trusted_workers !== 0,
    ...(outbound !== null && { outbound }),
    ...(row.kind === "account" && { isAccountWorker: true as const }),
    ...(row.is_stateful !== 0 && {
      objectKeys: classesOf(sql, row.script_id).map(({ key }) => key),
    }),
    ...tracedOf(sql, row.namespace, row.script),
  };
}

function versionState(row: Row, policy: Policy): VersionState {
  return {
    versionId: row.version_id,
    place: placeOf(row, policy),
    limits: limitsOf(row, policy),
    ...assetsOf(row),
  };
}

function requireRow(sql: SqlStorage, versionId: string): Row {
  return sql.exec<Row>(`${SELECT} WHERE versions.id = ?`, versionId).one();
}

/** What the dedicated cell of a version has to be like; a failure if the version does not get one. */
export function cellRequest(
  sql: SqlStorage,
  policy: Policy,
  versionId: string,
): Outcome<CellRequest> {
  const [row] = sql.exec<Row>(`${SELECT} WHERE versions.id = ?`, versionId).toArray();
  if (!row || mayNotRun(row)) return failure({ reason: "unknown-version", versionId });
  const { kind } = placeOf(row, policy);
  if (kind !== "dedicated") return failure({ reason: "not-dedicated", versionId, place: kind });
  const { memory_mb: memoryMb, cpu_ms: cpuMs, subrequests } = limitsOf(row, policy);
  const outbound = readOutbound(sql, row.outbound);
  const { namespace, script, trust_state: trust } = row;
  const isMistrusted = trust === "suspect" || trust === "convicted";
  const isPreview = row.superseded_on !== null;
  const objects = homeOf(sql, row.script_id);
  return success({
    versionId,
    namespace,
    script,
    memoryMb,
    cpuMs,
    isMistrusted,
    isPreview,
    subrequests,
    ...(outbound !== null && { outbound }),
    ...(objects && { objects }),
  });
}

/** Of a script with Durable Objects only the version in force has them; another one beside it would need them, too. */
function mayNotRun(row: Row): boolean {
  return row.is_stateful !== 0 && row.superseded_on !== null;
}

function placeOf(row: Row, policy: Policy): Place {
  const place = derivePlace(toTrust(row), (row.isolation as Isolation | null) ?? policy.isolation);
  const isForObjects = row.is_stateful !== 0 && place.why === "isolation = dedicated";
  return isForObjects ? { ...place, why: "has Durable Objects" } : place;
}

function limitsOf(row: Row, { limits }: Policy): Limits {
  const read = (text: string | null) => (text === null ? {} : (JSON.parse(text) as LimitSettings));
  return effectiveLimits(
    limits,
    read(row.version_limits),
    read(row.script_limits),
    read(row.namespace_limits),
  );
}
