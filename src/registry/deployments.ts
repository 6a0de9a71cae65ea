/**
 * Which versions of a script get its traffic, now and before. A version is in use if the deployment in force names
 * it; `superseded_on` of all others says since when they are not. Functions that write are called in a transaction.
 */
import { Rejection } from "./failures.ts";
import { beginChange } from "./generation.ts";
import { classesOf } from "./object-classes.ts";
import { supersedeRollout } from "./rollout-store.ts";
import type { DeploymentChange, DeploymentRecord, ScriptRecord } from "./records.ts";
import { requireVersion } from "./versions.ts";
import { deployWorkflows } from "./workflows.ts";

/** As on Cloudflare. */
const MAX_SHARES = 2;
/** Older ones go, but for the one in force. */
const KEPT_DEPLOYMENTS = 100;
/** Of the sum of percentages, which may be fractions. */
const ROUNDING = 1e-6;

interface DeploymentRow extends Record<string, SqlStorageValue> {
  id: string;
  created_on: number;
  author: string;
  source: string;
  shares: string;
  annotations: string;
}

/** Newest first; the first is in force. */
export function listDeployments(
  sql: SqlStorage,
  namespaceId: string,
  script: string,
): DeploymentRecord[] {
  return sql
    .exec<DeploymentRow>(
      `SELECT deployments.* FROM deployments JOIN scripts ON scripts.id = deployments.script_id
       WHERE scripts.namespace_id = ? AND scripts.name = ? ORDER BY deployments.rowid DESC`,
      namespaceId,
      script,
    )
    .toArray()
    .map((row) => ({
      id: row.id,
      createdOn: row.created_on,
      author: row.author,
      source: row.source,
      shares: JSON.parse(row.shares) as DeploymentRecord["shares"],
      annotations: JSON.parse(row.annotations) as Record<string, string>,
    }));
}

/** Deploys versions that were uploaded before. Returns the generation of the change. */
export function applyDeployment(
  sql: SqlStorage,
  script: ScriptRecord,
  deployment: DeploymentChange,
  now: number,
): number {
  refuseBadShares(sql, script, deployment.shares);
  putInForce(sql, script.id, deployment, now);
  const change = beginChange(sql);
  change.script(script.namespace, script.name, true);
  return change.generation;
}

/** Of a script and versions that there are. */
export function putInForce(
  sql: SqlStorage,
  scriptId: string,
  { shares, annotations, author, source }: DeploymentChange,
  now: number,
): void {
  deployWorkflows(sql, scriptId, shares, now);
  const id = crypto.randomUUID();
  sql.exec(
    `INSERT INTO deployments (id, script_id, created_on, author, source, shares, annotations) VALUES (?, ?, ?, ?, ?, ?, ?)`,
    id,
    scriptId,
    now,
    author,
    source,
    JSON.stringify(shares),
    JSON.stringify(annotations),
  );
  supersedeRollout(sql, scriptId, { author, source }, now);
  const [largest] = shares.toSorted((a, b) => b.percentage - a.percentage);
  sql.exec(
    `UPDATE scripts SET deployment_id = ?, version_id = ?, modified_on = ? WHERE id = ?`,
    id,
    largest?.versionId ?? "",
    now,
    scriptId,
  );
  const inUse = JSON.stringify(shares.map(({ versionId }) => versionId));
  sql.exec(
    `UPDATE versions SET superseded_on = IIF(superseded_on IS NULL, ?, NULL)
     WHERE script_id = ? AND (superseded_on IS NULL) <> (id IN (SELECT value FROM json_each(?)))`,
    now,
    scriptId,
    inUse,
  );
  sql.exec(
    `DELETE FROM deployments WHERE script_id = ? AND rowid <= (
       SELECT rowid FROM deployments WHERE script_id = ? ORDER BY rowid DESC LIMIT 1 OFFSET ?)`,
    scriptId,
    scriptId,
    KEPT_DEPLOYMENTS,
  );
}

/** Forgets that it was. The one in force stays. */
export function deleteDeployment(sql: SqlStorage, script: ScriptRecord, id: string): void {
  if (id === script.deployment.id) throw new Rejection({ reason: "deployment-in-force", id });
  const { rowsWritten } = sql.exec(
    `DELETE FROM deployments WHERE id = ? AND script_id = ?`,
    id,
    script.id,
  );
  if (rowsWritten === 0) throw new Rejection({ reason: "unknown-deployment", id });
}

function refuseBadShares(
  sql: SqlStorage,
  script: ScriptRecord,
  shares: DeploymentRecord["shares"],
): void {
  const bad = (detail: string) => new Rejection({ reason: "bad-shares", detail });
  if (shares.length === 0 || shares.length > MAX_SHARES) {
    throw bad(`it has ${shares.length} versions, expected 1 to ${MAX_SHARES}`);
  }
  for (const { versionId, percentage } of shares) {
    if (!(percentage >= 0 && percentage <= 100)) {
      throw bad(`version ${versionId} has ${percentage} %, expected 0 to 100`);
    }
    const [found] = sql
      .exec(`SELECT 1 FROM versions WHERE id = ? AND script_id = ?`, versionId, script.id)
      .toArray();
    if (!found) throw new Rejection({ reason: "unknown-version", versionId });
  }
  if (new Set(shares.map(({ versionId }) => versionId)).size < shares.length) {
    throw bad("it names a version more than once");
  }
  refuseForObjects(sql, script, shares);
  const sum = shares.reduce((total, { percentage }) => total + percentage, 0);
  if (Math.abs(sum - 100) > ROUNDING) throw bad(`its percentages add up to ${sum}, expected 100`);
}

/** Durable Objects have one version at a time, and that has to have the classes as they are now. */
function refuseForObjects(
  sql: SqlStorage,
  script: ScriptRecord,
  shares: DeploymentRecord["shares"],
): void {
  const classes = classesOf(sql, script.id);
  if (classes.length === 0) return;
  const names = classes.map(({ className }) => className);
  if (shares.length > 1) {
    throw new Rejection({
      reason: "bad-shares",
      detail: `'${script.name}' has Durable Objects (${names.join(", ")}), each of which runs in one place and so in one version: give a single version 100 %`,
    });
  }
  for (const { versionId } of shares) {
    const { code } = requireVersion(sql, script.namespaceId, script.name, versionId);
    const missing = names.find((name) => !code.exports.includes(name));
    if (missing === undefined) continue;
    throw new Rejection({
      reason: "bad-shares",
      detail: `version ${versionId} does not export the class '${missing}', which Durable Objects of '${script.name}' have by now: it was uploaded before a migration`,
    });
  }
}
