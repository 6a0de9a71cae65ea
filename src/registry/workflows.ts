/**
 * Workflows of scripts. A Workflow comes with the deploy of a version that is bound to it, as a class of the script itself; its
 * instances stay with the script until it is deleted. Where the version in force does not export the class any more, or has
 * another Workflow for it, they rest. Functions that write are called in a transaction.
 */
import type { Workflow, WorkflowSettings } from "../protocol/workflows.ts";
import { Rejection } from "./failures.ts";
import { beginChange } from "./generation.ts";
import { classesOf } from "./object-classes.ts";
import type { DeploymentRecord, NamespaceKind, StoredBinding, WorkflowBinding } from "./records.ts";
import { requireVersion } from "./versions.ts";

export interface WorkflowRecord extends Workflow {
  readonly id: string;
  readonly scriptId: string;
  readonly script: string;
  readonly namespaceId: string;
  readonly namespace: string;
  readonly kind: NamespaceKind;
  /** False: its instances rest. */
  readonly isRunning: boolean;
  /** Of the script, with the most traffic. */
  readonly versionId: string;
  readonly createdOn: number;
  readonly modifiedOn: number;
}

const SELECT = `
  SELECT workflows.*, scripts.name AS script, scripts.version_id, scripts.namespace_id, namespaces.name AS namespace, namespaces.kind
  FROM workflows
  JOIN scripts ON scripts.id = workflows.script_id
  JOIN namespaces ON namespaces.id = scripts.namespace_id`;

const OF_SCRIPT = `${SELECT} WHERE script_id = ? ORDER BY workflows.created_on DESC, workflows.name`;

/** Each has bindings in the process of its script. */
const MAX_WORKFLOWS = 100;

/** Those that run. */
export function runningWorkflows(sql: SqlStorage, scriptId: string): Workflow[] {
  return rows(
    sql,
    `${SELECT} WHERE script_id = ? AND is_running = 1 ORDER BY workflows.name`,
    scriptId,
  ).map(({ name, className, settings }) => ({ name, className, settings }));
}

/** Of all scripts of an account. */
export function listWorkflows(sql: SqlStorage, accountId: string): WorkflowRecord[] {
  const query = `${SELECT} WHERE namespaces.account_id = ? ORDER BY workflows.created_on DESC, workflows.name`;
  return rows(sql, query, accountId);
}

/** By name of account Workers' ones, whose names are unique; by id of all. */
export function findWorkflow(
  sql: SqlStorage,
  accountId: string,
  nameOrId: string,
): WorkflowRecord | null {
  const query = `${SELECT} WHERE namespaces.account_id = ? AND
    (workflows.id = ? OR (namespaces.kind = 'account' AND workflows.name = ?)) ORDER BY workflows.name <> ?`;
  return rows(sql, query, accountId, nameOrId, nameOrId, nameOrId)[0] ?? null;
}

export function setWorkflow(
  sql: SqlStorage,
  id: string,
  settings: WorkflowSettings,
  now: number,
): void {
  const text = JSON.stringify(settings);
  sql.exec(`UPDATE workflows SET settings = ?, modified_on = ? WHERE id = ?`, text, now, id);
}

/** With all instances. Returns the generation. */
export function deleteWorkflow(sql: SqlStorage, found: WorkflowRecord): number {
  const { id, namespaceId, script, versionId, name } = found;
  const { bindings } = requireVersion(sql, namespaceId, script, versionId);
  if (ownWorkflows(bindings).some(({ workflowName }) => workflowName === name)) {
    throw new Rejection({ reason: "workflow-bound", workflow: name, script });
  }
  sql.exec(`DELETE FROM workflows WHERE id = ?`, id);
  const change = beginChange(sql);
  // It may have no other reason to live in a cell of its own.
  change.script(found.namespace, script);
  return change.generation;
}

/** The bindings of a release: those to Workflows of the script itself need not name it. */
export function bindWorkflows(script: string, bindings: readonly StoredBinding[]): StoredBinding[] {
  return bindings.map((binding) => {
    if (binding.type !== "workflow") return binding;
    const { scriptName, ...own } = binding;
    if (scriptName === undefined || scriptName === script) return own;
    const { name, workflowName: workflow } = binding;
    throw new Rejection({ reason: "workflow-elsewhere", name, workflow, owner: scriptName });
  });
}

/** When the script's traffic goes to these versions: makes their Workflows, and sees which ones run. */
export function deployWorkflows(
  sql: SqlStorage,
  scriptId: string,
  shares: DeploymentRecord["shares"],
  now: number,
): void {
  const owner = sql
    .exec<{ name: string; namespace_id: string }>(
      `SELECT name, namespace_id FROM scripts WHERE id = ?`,
      scriptId,
    )
    .one();
  const { name: script, namespace_id: namespaceId } = owner;
  const versions = shares.map(({ versionId }) =>
    requireVersion(sql, namespaceId, script, versionId),
  );
  const wanted = versions.flatMap(({ bindings }) => ownWorkflows(bindings));
  const known = rows(sql, OF_SCRIPT, scriptId);
  if (wanted.length === 0 && known.length === 0) return;
  const [version, ...others] = versions;
  if (version === undefined || others.length > 0) {
    const detail = `'${script}' has Workflows, whose instances run in one place and so in one version: give a single version 100 %`;
    throw new Rejection({ reason: "bad-shares", detail });
  }
  const { exports } = version.code;
  const bound = new Map<string, string>();
  for (const { workflowName: workflow, className } of wanted) {
    if (!exports.includes(className)) {
      throw new Rejection({ reason: "workflow-not-exported", workflow, className });
    }
    const other = bound.get(className) ?? workflow;
    const isObject = classesOf(sql, scriptId).some((one) => one.className === className);
    if (other !== workflow || isObject) {
      const by = isObject ? "Durable Objects" : `the Workflow '${other}'`;
      throw new Rejection({ reason: "workflow-class-taken", workflow, className, by });
    }
    bound.set(className, workflow);
  }
  for (const binding of wanted) make(sql, { scriptId, script, namespaceId }, binding, now);
  // A class runs one Workflow: that of the binding, or else the latest.
  for (const { id, name, className } of rows(sql, OF_SCRIPT, scriptId)) {
    const isRunning = exports.includes(className) && (bound.get(className) ?? name) === name;
    if (isRunning) bound.set(className, name);
    sql.exec(`UPDATE workflows SET is_running = ? WHERE id = ?`, Number(isRunning), id);
  }
}

function make(
  sql: SqlStorage,
  owner: { readonly scriptId: string; readonly script: string; readonly namespaceId: string },
  { workflowName: workflow, className }: WorkflowBinding,
  now: number,
): void {
  const { scriptId, script, namespaceId } = owner;
  // As on Cloudflare, where there are account Workers only. In a dispatch namespace each Worker has names of its own.
  const query = `${SELECT} WHERE namespaces.id = ? AND namespaces.kind = 'account' AND workflows.name = ? AND script_id <> ?`;
  const [taken] = rows(sql, query, namespaceId, workflow, scriptId);
  if (taken !== undefined) {
    throw new Rejection({ reason: "workflow-exists", workflow, owner: taken.script });
  }
  const all = rows(sql, OF_SCRIPT, scriptId);
  if (all.length >= MAX_WORKFLOWS && !all.some(({ name }) => name === workflow)) {
    throw new Rejection({ reason: "too-many-workflows", script, max: MAX_WORKFLOWS });
  }
  sql.exec(
    `INSERT INTO workflows (id, script_id, name, class_name, settings, is_running, created_on, modified_on)
     VALUES (?, ?, ?, ?, '{}', 1, ?, ?)
     ON CONFLICT (script_id, name) DO UPDATE SET class_name = excluded.class_name, modified_on = excluded.modified_on, is_running = 1`,
    crypto.randomUUID(),
    scriptId,
    workflow,
    className,
    now,
    now,
  );
}

function ownWorkflows(bindings: readonly StoredBinding[]): WorkflowBinding[] {
  return bindings.filter((binding) => binding.type === "workflow");
}

interface Row extends Record<string, SqlStorageValue> {
  id: string;
  script_id: string;
  script: string;
  version_id: string;
  namespace_id: string;
  namespace: string;
  kind: string;
  name: string;
  class_name: string;
  settings: string;
  is_running: number;
  created_on: number;
  modified_on: number;
}

function rows(sql: SqlStorage, query: string, ...values: SqlStorageValue[]): WorkflowRecord[] {
  return sql
    .exec<Row>(query, ...values)
    .toArray()
    .map((row) => ({
      id: row.id,
      name: row.name,
      className: row.class_name,
      settings: JSON.parse(row.settings) as WorkflowSettings,
      scriptId: row.script_id,
      script: row.script,
      versionId: row.version_id,
      namespaceId: row.namespace_id,
      namespace: row.namespace,
      kind: row.kind as NamespaceKind,
      isRunning: row.is_running !== 0,
      createdOn: row.created_on,
      modifiedOn: row.modified_on,
    }));
}
