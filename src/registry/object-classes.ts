/**
 * Classes of Durable Objects: which script has the objects of which class, and by which migrations that changes. What is
 * stored in the objects is in the stateful cell of the script; triggers (schema.ts) note in the outbox `object_changes` what
 * has to be done with it. Functions that write are called in the transaction of a release.
 */
import type { ObjectClass } from "../protocol/objects.ts";
import { Rejection } from "./failures.ts";
import type { NamespaceKind, StoredBinding, VersionRecord } from "./records.ts";

/** A step of a migration, in its parts in the order in which they are applied. */
export interface MigrationStep {
  readonly transferred: readonly {
    readonly from: string;
    readonly fromScript: string;
    readonly to: string;
  }[];
  readonly renamed: readonly { readonly from: string; readonly to: string }[];
  readonly deleted: readonly string[];
  readonly created: readonly { readonly name: string; readonly useSqlite: boolean }[];
}

export interface ObjectMigrations {
  /** What the script's tag has to be now; null: none. */
  readonly oldTag: string | null;
  /** What it is from then on; null: none. */
  readonly newTag: string | null;
  readonly steps: readonly MigrationStep[];
}

/** All classes that a script is to have, instead of migrations. */
export interface DeclaredClasses {
  readonly live: readonly { readonly name: string; readonly useSqlite: boolean }[];
  readonly renamed: readonly { readonly from: string; readonly to: string }[];
  readonly deleted: readonly string[];
}

export interface ObjectClassRecord extends ObjectClass {
  readonly scriptId: string;
  readonly script: string;
  readonly namespaceId: string;
  readonly namespace: string;
  readonly kind: NamespaceKind;
  /** As its migration said. What is stored is in SQLite in either case. */
  readonly useSqlite: boolean;
  readonly createdOn: number;
}

/** The script that a release is of. */
interface Owner {
  readonly id: string;
  readonly namespaceId: string;
  readonly name: string;
}

/** Columns of a query that has `scripts`; the second one needs `namespaces`, too: of the script, null: the platform's. */
export const IS_STATEFUL = `(EXISTS (SELECT 1 FROM object_classes WHERE object_classes.script_id = scripts.id)
  OR EXISTS (SELECT 1 FROM workflows WHERE workflows.script_id = scripts.id AND workflows.is_running = 1))`;
export const ISOLATION = `IIF(${IS_STATEFUL}, 'dedicated', namespaces.isolation)`;

const SELECT = `
  SELECT object_classes.*, scripts.name AS script, scripts.namespace_id, namespaces.name AS namespace, namespaces.kind
  FROM object_classes
  JOIN scripts ON scripts.id = object_classes.script_id
  JOIN namespaces ON namespaces.id = scripts.namespace_id`;

export function classesOf(sql: SqlStorage, scriptId: string): ObjectClassRecord[] {
  return rows(sql, `${SELECT} WHERE script_id = ? ORDER BY class_name`, scriptId);
}

/** Of all scripts of an account. */
export function listClasses(sql: SqlStorage, accountId: string): ObjectClassRecord[] {
  const query = `${SELECT} WHERE namespaces.account_id = ? ORDER BY namespaces.name, scripts.name, class_name`;
  return rows(sql, query, accountId);
}

export function findClass(sql: SqlStorage, key: string): ObjectClassRecord | null {
  return rows(sql, `${SELECT} WHERE object_classes.key = ?`, key)[0] ?? null;
}

function findNamed(
  sql: SqlStorage,
  namespaceId: string,
  script: string,
  className: string,
): ObjectClassRecord | null {
  const query = `${SELECT} WHERE scripts.namespace_id = ? AND scripts.name = ? AND class_name = ?`;
  return rows(sql, query, namespaceId, script, className)[0] ?? null;
}

/** Where the classes that a version is bound to are now, by their keys; those that are gone are missing. */
export function ownersOf(
  sql: SqlStorage,
  { bindings }: Pick<VersionRecord, "bindings">,
): Record<string, { readonly script: string; readonly className: string }> {
  const found = bindings.flatMap((binding) => {
    if (binding.type !== "durable_object_namespace" || binding.key === undefined) return [];
    const owner = findClass(sql, binding.key);
    return owner === null ? [] : [[binding.key, owner] as const];
  });
  return Object.fromEntries(
    found.map(([key, { script, className }]) => [key, { script, className }]),
  );
}

/**
 * Applies what a release says of classes, checks what the new version exports against what there is then, and returns its
 * bindings with the classes that they mean.
 */
export function releaseClasses(
  sql: SqlStorage,
  owner: Owner,
  change: ObjectMigrations | DeclaredClasses | undefined,
  exported: readonly string[],
  bindings: readonly StoredBinding[],
  now: number,
): StoredBinding[] {
  const before = new Set(classesOf(sql, owner.id).map(({ key }) => key));
  if (change !== undefined) {
    const isDeclared = "live" in change;
    const deleted = isDeclared ? change.deleted : change.steps.flatMap((step) => step.deleted);
    refuseBound(bindings, deleted);
    if (isDeclared) reconcile(sql, owner, change, now);
    else migrate(sql, owner, change, now);
  }
  for (const { key, className } of classesOf(sql, owner.id)) {
    if (exported.includes(className)) continue;
    throw new Rejection({ reason: "class-not-exported", className, isNew: !before.has(key) });
  }
  return bindings.map((binding) => bindClass(sql, owner, binding));
}

/** Names of the scripts that a release takes classes from. */
export function transferredFrom(change: ObjectMigrations | DeclaredClasses | undefined): string[] {
  if (change === undefined || "live" in change) return [];
  return change.steps.flatMap(({ transferred }) => transferred.map((one) => one.fromScript));
}

/** By bindings of the very version that is to be without these classes. */
function refuseBound(bindings: readonly StoredBinding[], deleted: readonly string[]): void {
  for (const binding of bindings) {
    if (binding.type !== "durable_object_namespace" || binding.scriptName !== undefined) continue;
    const { className } = binding;
    if (deleted.includes(className)) {
      throw new Rejection({ reason: "class-bound", className, scripts: [] });
    }
  }
}

function bindClass(sql: SqlStorage, owner: Owner, binding: StoredBinding): StoredBinding {
  if (binding.type !== "durable_object_namespace") return binding;
  const { scriptName, ...rest } = binding;
  const script = scriptName ?? owner.name;
  // One that is kept from the version before is meant by its key: the class may have another name by now.
  const found =
    (binding.key === undefined ? null : findClass(sql, binding.key)) ??
    findNamed(sql, owner.namespaceId, script, binding.className);
  if (found === null) {
    throw new Rejection({ reason: "unknown-class", className: binding.className, script });
  }
  const { key, className } = found;
  const elsewhere = found.scriptId === owner.id ? {} : { scriptName: found.script };
  return { ...rest, className, key, ...elsewhere };
}

function migrate(
  sql: SqlStorage,
  owner: Owner,
  { oldTag, newTag, steps }: ObjectMigrations,
  now: number,
): void {
  const { migration_tag: current } = sql
    .exec<{ migration_tag: string | null }>(
      `SELECT migration_tag FROM scripts WHERE id = ?`,
      owner.id,
    )
    .one();
  if (oldTag !== current) throw new Rejection({ reason: "migration-tag", wanted: oldTag, current });
  for (const step of steps) {
    for (const transfer of step.transferred) transferClass(sql, owner, transfer);
    for (const { from, to } of step.renamed) renameClass(sql, owner, from, to);
    for (const name of step.deleted) deleteClass(sql, owner, name);
    for (const { name, useSqlite } of step.created) createClass(sql, owner, name, useSqlite, now);
  }
  sql.exec(`UPDATE scripts SET migration_tag = ? WHERE id = ?`, newTag, owner.id);
}

/** One that is there and not declared is refused, since it holds objects. */
function reconcile(
  sql: SqlStorage,
  owner: Owner,
  { live, renamed, deleted }: DeclaredClasses,
  now: number,
): void {
  const find = (name: string) => findNamed(sql, owner.namespaceId, owner.name, name);
  // What was done with an earlier release stays declared until somebody removes it.
  for (const { from, to } of renamed) if (find(from)) renameClass(sql, owner, from, to);
  for (const name of deleted) if (find(name)) deleteClass(sql, owner, name);
  for (const { name, useSqlite } of live) {
    const known = find(name);
    if (known === null) createClass(sql, owner, name, useSqlite, now);
    else if (known.useSqlite !== useSqlite) {
      throw new Rejection({ reason: "class-storage-differs", className: name, useSqlite });
    }
  }
  const undeclared = classesOf(sql, owner.id).find(
    ({ className }) => !live.some(({ name }) => name === className),
  );
  if (undeclared === undefined) return;
  throw new Rejection({ reason: "class-undeclared", className: undeclared.className });
}

/** Workers other than `ownerId` of which the version with the most traffic is bound to one of these classes. */
export function boundScripts(
  sql: SqlStorage,
  ownerId: string,
  keys: readonly string[],
): { readonly script: string; readonly key: string }[] {
  return sql
    .exec<{ script: string; key: string }>(
      `SELECT DISTINCT scripts.name AS script, binding.value ->> 'key' AS key
       FROM scripts JOIN versions ON versions.id = scripts.version_id, json_each(versions.bindings) AS binding
       WHERE scripts.id <> ? AND binding.value ->> 'type' = 'durable_object_namespace'
         AND binding.value ->> 'key' IN (SELECT value FROM json_each(?))
       ORDER BY scripts.name`,
      ownerId,
      JSON.stringify(keys),
    )
    .toArray();
}

/** Of a script that is to be deleted, with all its objects. */
export function refuseInUse(
  sql: SqlStorage,
  { id, name }: { readonly id: string; readonly name: string },
): void {
  const keys = classesOf(sql, id).map(({ key }) => key);
  const users = new Set(boundScripts(sql, id, keys).map(({ script }) => script));
  if (users.size === 0) return;
  throw new Rejection({ reason: "objects-in-use", script: name, users: [...users] });
}

function createClass(
  sql: SqlStorage,
  owner: Owner,
  className: string,
  useSqlite: boolean,
  now: number,
): void {
  refuseTaken(sql, owner, className, "new-class");
  refuseMore(sql, owner);
  const key = crypto.randomUUID().replaceAll("-", "");
  sql.exec(
    `INSERT INTO object_classes (key, script_id, class_name, use_sqlite, created_on) VALUES (?, ?, ?, ?, ?)`,
    key,
    owner.id,
    className,
    Number(useSqlite),
    now,
  );
}

function renameClass(sql: SqlStorage, owner: Owner, from: string, to: string): void {
  const source = requireOwn(sql, owner, from, "rename-class");
  refuseTaken(sql, owner, to, "rename-class");
  sql.exec(`UPDATE object_classes SET class_name = ? WHERE key = ?`, to, source.key);
}

function deleteClass(sql: SqlStorage, owner: Owner, className: string): void {
  const { key } = requireOwn(sql, owner, className, "delete-class");
  const scripts = boundScripts(sql, owner.id, [key]).map(({ script }) => script);
  if (scripts.length > 0) throw new Rejection({ reason: "class-bound", className, scripts });
  sql.exec(`DELETE FROM object_classes WHERE key = ?`, key);
}

/** Within a namespace, as bindings are. */
function transferClass(
  sql: SqlStorage,
  owner: Owner,
  { from, fromScript, to }: MigrationStep["transferred"][number],
): void {
  const source = findNamed(sql, owner.namespaceId, fromScript, from);
  if (source === null || source.scriptId === owner.id) {
    const step = "transfer-class";
    throw new Rejection({ reason: "no-such-class", className: from, script: fromScript, step });
  }
  refuseTaken(sql, owner, to, "transfer-class");
  refuseMore(sql, owner);
  sql.exec(
    `UPDATE object_classes SET script_id = ?, class_name = ? WHERE key = ?`,
    owner.id,
    to,
    source.key,
  );
}

function requireOwn(
  sql: SqlStorage,
  owner: Owner,
  className: string,
  step: string,
): ObjectClassRecord {
  const found = findNamed(sql, owner.namespaceId, owner.name, className);
  if (found !== null) return found;
  throw new Rejection({ reason: "no-such-class", className, script: owner.name, step });
}

/** Of so many exports the trial of a version tells (src/cell/trial.ts). */
const MAX_CLASSES = 100;

function refuseMore(sql: SqlStorage, owner: Owner): void {
  if (classesOf(sql, owner.id).length < MAX_CLASSES) return;
  throw new Rejection({ reason: "too-many-classes", script: owner.name, max: MAX_CLASSES });
}

function refuseTaken(sql: SqlStorage, owner: Owner, className: string, step: string): void {
  if (findNamed(sql, owner.namespaceId, owner.name, className) === null) return;
  throw new Rejection({ reason: "class-exists", className, step });
}

interface Row extends Record<string, SqlStorageValue> {
  key: string;
  script_id: string;
  script: string;
  namespace_id: string;
  namespace: string;
  kind: string;
  class_name: string;
  use_sqlite: number;
  created_on: number;
}

function rows(sql: SqlStorage, query: string, ...values: SqlStorageValue[]): ObjectClassRecord[] {
  return sql
    .exec<Row>(query, ...values)
    .toArray()
    .map((row) => ({
      key: row.key,
      className: row.class_name,
      scriptId: row.script_id,
      script: row.script,
      namespaceId: row.namespace_id,
      namespace: row.namespace,
      kind: row.kind as NamespaceKind,
      useSqlite: row.use_sqlite !== 0,
      createdOn: row.created_on,
    }));
}
