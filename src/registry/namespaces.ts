/**
 * Dispatch namespaces. Their ids never change; their names may, and edges know scripts by namespace name,
 * so a rename or deletion touches every script within. Functions that write are called in a transaction.
 */
import type { LimitSettings } from "../protocol/limits.ts";
import type { OutboundWorker } from "../protocol/outbound.ts";
import type { Isolation } from "../protocol/placement.ts";
import { Rejection, type Outcome } from "./failures.ts";
import { beginChange, type Change } from "./generation.ts";
import { outboundUsers, readOutbound, writeOutbound } from "./outbound.ts";
import type { NamespaceKind, NamespaceRecord } from "./records.ts";
import { failure, success } from "./result.ts";
import { consumerUsers, readConsumers, writeConsumers, type NamespaceConsumer } from "./tracing.ts";

const SELECT = `
  SELECT namespaces.*, (SELECT COUNT(*) FROM scripts WHERE namespace_id = namespaces.id) AS script_count
  FROM namespaces`;

export function listNamespaces(sql: SqlStorage, accountId: string): NamespaceRecord[] {
  return sql
    .exec<NamespaceRow>(
      `${SELECT} WHERE account_id = ? AND kind = 'dispatch' ORDER BY created_on, name`,
      accountId,
    )
    .toArray()
    .map((row) => toNamespace(sql, row));
}

/** The names of all namespaces of all accounts. */
export function allNamespaceNames(sql: SqlStorage): string[] {
  return sql
    .exec<{ name: string }>(`SELECT name FROM namespaces ORDER BY name`)
    .toArray()
    .map(({ name }) => name);
}

export function findNamespace(
  sql: SqlStorage,
  accountId: string,
  name: string,
): Outcome<NamespaceRecord> {
  const [row] = sql
    .exec<NamespaceRow>(
      `${SELECT} WHERE account_id = ? AND kind = 'dispatch' AND name = ?`,
      accountId,
      name,
    )
    .toArray();
  return row
    ? success(toNamespace(sql, row))
    : failure({ reason: "unknown-namespace", namespace: name });
}

/** Where the account's Workers outside of dispatch namespaces are. */
export function accountNamespace(sql: SqlStorage, accountId: string): NamespaceRecord {
  const row = sql
    .exec<NamespaceRow>(`${SELECT} WHERE account_id = ? AND kind = 'account'`, accountId)
    .one();
  return toNamespace(sql, row);
}

/** Idempotent. Its Workers have cells of their own. */
export function ensureAccountNamespace(
  sql: SqlStorage,
  accountId: string,
  author: string,
  now: number,
): void {
  const [found] = sql
    .exec(`SELECT 1 FROM namespaces WHERE account_id = ? AND kind = 'account'`, accountId)
    .toArray();
  if (found) return;
  // A dispatch namespace may have had the name before this kind existed.
  const name =
    SUBDOMAINS.find((candidate) => findNamespaceId(sql, candidate) === null) ?? accountId;
  insertNamespace(sql, accountId, name, author, now);
  sql.exec(`UPDATE namespaces SET kind = 'account', isolation = 'dedicated' WHERE name = ?`, name);
}

/** Host names of account Workers end in one of these, in front of the base domain. */
const SUBDOMAINS = ["workers", "account-workers"];

export function findNamespaceId(sql: SqlStorage, name: string): string | null {
  const [row] = sql
    .exec<{ id: string }>(`SELECT id FROM namespaces WHERE name = ?`, name)
    .toArray();
  return row?.id ?? null;
}

export function namespaceName(sql: SqlStorage, id: string): string {
  const [row] = sql
    .exec<{ name: string }>(`SELECT name FROM namespaces WHERE id = ?`, id)
    .toArray();
  if (!row) throw new Rejection({ reason: "unknown-namespace", namespace: id });
  return row.name;
}

/** null: account Workers are there. */
export function dispatchNamespaceName(sql: SqlStorage, id: string): string | null {
  const [row] = sql
    .exec<{ name: string }>(`SELECT name FROM namespaces WHERE id = ? AND kind = 'dispatch'`, id)
    .toArray();
  return row?.name ?? null;
}

export function unknownScript(sql: SqlStorage, namespaceId: string, script: string): Rejection {
  const [row] = sql
    .exec<{ name: string; kind: string }>(
      `SELECT name, kind FROM namespaces WHERE id = ?`,
      namespaceId,
    )
    .toArray();
  if (!row) return new Rejection({ reason: "unknown-namespace", namespace: namespaceId });
  const kind = row.kind as NamespaceKind;
  return new Rejection({ reason: "unknown-script", kind, namespace: row.name, script });
}

export function insertNamespace(
  sql: SqlStorage,
  accountId: string,
  name: string,
  author: string,
  now: number,
): void {
  refuseTakenName(sql, name, null);
  sql.exec(
    `INSERT INTO namespaces (id, account_id, name, created_on, created_by, modified_on, modified_by)
     VALUES (?, ?, ?, ?, ?, ?, ?)`,
    crypto.randomUUID(),
    accountId,
    name,
    now,
    author,
    now,
    author,
  );
}

export interface NamespacePatch {
  readonly name?: string | undefined;
  readonly trustedWorkers?: boolean | undefined;
  /** null: the platform's. */
  readonly isolation?: Isolation | null | undefined;
  /** null: none. */
  readonly outbound?: OutboundWorker | null | undefined;
  readonly tailConsumers?: readonly NamespaceConsumer[] | undefined;
}

/** Returns the generation of the change; null if no edge has to know. */
export function updateNamespace(
  sql: SqlStorage,
  accountId: string,
  namespace: NamespaceRecord,
  patch: NamespacePatch,
  author: string,
  now: number,
): number | null {
  const name = patch.name ?? namespace.name;
  const { trustedWorkers = namespace.trustedWorkers, isolation = namespace.isolation } = patch;
  const { outbound = namespace.outbound } = patch;
  refuseTakenName(sql, name, namespace.id);
  sql.exec(
    `UPDATE namespaces SET name = ?, trusted_workers = ?, isolation = ?, modified_on = ?, modified_by = ? WHERE id = ?`,
    name,
    Number(trustedWorkers),
    isolation,
    now,
    author,
    namespace.id,
  );
  const renamed = name !== namespace.name;
  const sameOutbound = JSON.stringify(outbound) === JSON.stringify(namespace.outbound);
  if (!sameOutbound) writeOutbound(sql, accountId, namespace, outbound);
  const { tailConsumers } = patch;
  if (tailConsumers) writeConsumers(sql, accountId, namespace.id, tailConsumers);
  const same =
    sameOutbound &&
    tailConsumers === undefined &&
    trustedWorkers === namespace.trustedWorkers &&
    isolation === namespace.isolation;
  if (!renamed && same) return null;
  const change = beginChange(sql);
  if (renamed) change.routes();
  touchScripts(sql, namespace.id, change, [...new Set([namespace.name, name])]);
  if (renamed) {
    for (const user of [...outboundUsers(sql, namespace.id), ...consumerUsers(sql, namespace.id)]) {
      touchScripts(sql, user.id, change, [user.name]);
    }
  }
  return change.generation;
}

/** Returns the generation of the change. */
export function setNamespaceLimits(
  sql: SqlStorage,
  namespace: NamespaceRecord,
  limits: LimitSettings,
): number {
  sql.exec(`UPDATE namespaces SET limits = ? WHERE id = ?`, JSON.stringify(limits), namespace.id);
  const change = beginChange(sql);
  touchScripts(sql, namespace.id, change, [namespace.name]);
  return change.generation;
}

/** With its scripts and routes, as on Cloudflare. */
export function deleteNamespace(sql: SqlStorage, namespace: NamespaceRecord): number {
  const users = outboundUsers(sql, namespace.id).map(({ name }) => name);
  if (users.length > 0) {
    throw new Rejection({ reason: "outbound-in-use", namespace: namespace.name, users });
  }
  const change = beginChange(sql);
  change.routes();
  touchScripts(sql, namespace.id, change, [namespace.name]);
  for (const user of consumerUsers(sql, namespace.id)) {
    touchScripts(sql, user.id, change, [user.name]);
  }
  sql.exec(`DELETE FROM namespaces WHERE id = ?`, namespace.id);
  return change.generation;
}

function touchScripts(
  sql: SqlStorage,
  namespaceId: string,
  change: Change,
  namespaceNames: readonly string[],
): void {
  const scripts = sql
    .exec<{ name: string }>(`SELECT name FROM scripts WHERE namespace_id = ?`, namespaceId)
    .toArray();
  for (const { name } of scripts) {
    for (const namespace of namespaceNames) change.script(namespace, name);
  }
}

function refuseTakenName(sql: SqlStorage, name: string, except: string | null): void {
  const taken = findNamespaceId(sql, name);
  if (taken !== null && taken !== except) {
    throw new Rejection({ reason: "namespace-exists", namespace: name });
  }
}

interface NamespaceRow extends Record<string, SqlStorageValue> {
  id: string;
  name: string;
  kind: string;
  trusted_workers: number;
  isolation: string | null;
  outbound: string | null;
  tail_consumers: string;
  limits: string;
  script_count: number;
  created_on: number;
  created_by: string;
  modified_on: number;
  modified_by: string;
}

function toNamespace(sql: SqlStorage, row: NamespaceRow): NamespaceRecord {
  return {
    id: row.id,
    name: row.name,
    kind: row.kind as NamespaceKind,
    trustedWorkers: row.trusted_workers !== 0,
    isolation: row.isolation as Isolation | null,
    outbound: readOutbound(sql, row.outbound),
    tailConsumers: readConsumers(sql, row.tail_consumers),
    limits: JSON.parse(row.limits) as LimitSettings,
    scriptCount: row.script_count,
    createdOn: row.created_on,
    createdBy: row.created_by,
    modifiedOn: row.modified_on,
    modifiedBy: row.modified_by,
  };
}
