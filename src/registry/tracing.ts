/**
 * Who wants trace events (protocol/trace.ts): tails that are open, logs that are kept, Tail Workers. A tail is held by
 * a lease, which whoever has its connection renews, so that nothing is traced for somebody who is gone.
 */
import type { Traced } from "../protocol/routing.ts";
import { Rejection } from "./failures.ts";
import { beginChange } from "./generation.ts";
import type { ScriptSettings, Stored } from "./records.ts";

export const LEASE_MS = 60_000;
/** As on Cloudflare. */
const MAX_TAILS = 10;

export interface NewTail {
  readonly id: string;
  readonly namespaceId: string;
  /** null: all of the namespace. */
  readonly script: string | null;
  /** JSON, as the client gave them. */
  readonly filters: string;
  readonly expiresOn: number;
}

export interface TailRecord extends NewTail {
  readonly createdOn: number;
}

/** What the hub has to know of a script to deal with its events. */
export interface Tracing {
  readonly namespaceId: string;
  readonly isDispatch: boolean;
  readonly tags: readonly string[];
  readonly isTailed: boolean;
  readonly isNamespaceTailed: boolean;
  /** Of what reaches the hub, this share is stored; null: none. */
  readonly logs: { readonly share: number; readonly invocationLogs: boolean } | null;
}

interface Row extends Record<string, SqlStorageValue> {
  namespace_id: string;
  kind: string;
  tags: string;
  observability: string | null;
  tail_consumers: string;
  namespace_consumers: string;
  script_tails: number;
  namespace_tails: number;
}

function read(sql: SqlStorage, namespace: string, script: string): Row | undefined {
  const [row] = sql
    .exec<Row>(
      `SELECT namespaces.id AS namespace_id, namespaces.kind, scripts.tags, scripts.observability, scripts.tail_consumers,
         namespaces.tail_consumers AS namespace_consumers,
         (SELECT COUNT(*) FROM tails WHERE namespace_id = namespaces.id AND tails.script = scripts.name) AS script_tails,
         (SELECT COUNT(*) FROM tails WHERE namespace_id = namespaces.id AND tails.script IS NULL) AS namespace_tails
       FROM scripts JOIN namespaces ON namespaces.id = scripts.namespace_id
       WHERE namespaces.name = ? AND scripts.name = ?`,
      namespace,
      script,
    )
    .toArray();
  return row;
}

/** For ScriptState; `{}`: nobody wants any. */
export function tracedOf(
  sql: SqlStorage,
  namespace: string,
  script: string,
): { readonly traced?: Traced } {
  const row = read(sql, namespace, script);
  if (!row) return {};
  const hub = hubShare(row);
  const consumers = consumersOf(sql, row, namespace, script);
  return hub === 0 && consumers.length === 0 ? {} : { traced: { hub, consumers } };
}

export function tracingOf(sql: SqlStorage, namespace: string, script: string): Tracing | null {
  const row = read(sql, namespace, script);
  if (!row) return null;
  const logs = logsOf(row);
  return {
    namespaceId: row.namespace_id,
    isDispatch: row.kind === "dispatch",
    tags: JSON.parse(row.tags) as string[],
    isTailed: row.script_tails > 0,
    isNamespaceTailed: row.namespace_tails > 0,
    logs: logs.share === 0 ? null : { ...logs, share: logs.share / hubShare(row) },
  };
}

function hubShare(row: Row): number {
  return row.script_tails + row.namespace_tails > 0 ? 1 : logsOf(row).share;
}

interface Observability {
  readonly enabled?: boolean;
  readonly head_sampling_rate?: number | null;
  readonly logs?: {
    readonly enabled?: boolean;
    readonly head_sampling_rate?: number | null;
    readonly invocation_logs?: boolean;
    readonly persist?: boolean;
  } | null;
}

function logsOf({ observability }: Row): { share: number; invocationLogs: boolean } {
  const settings = observability === null ? {} : (JSON.parse(observability) as Observability);
  const { enabled = false, head_sampling_rate: rate, logs } = settings;
  const isKept = (logs?.enabled ?? enabled) && (logs?.persist ?? true);
  return {
    share: isKept ? (logs?.head_sampling_rate ?? rate ?? 1) : 0,
    invocationLogs: logs?.invocation_logs ?? true,
  };
}

interface StoredConsumer {
  readonly namespaceId: string;
  readonly script: string;
}

/** Its own, then those of its namespace; never itself. */
function consumersOf(
  sql: SqlStorage,
  { tail_consumers: own, namespace_consumers: shared }: Row,
  namespace: string,
  script: string,
): Traced["consumers"] {
  const named = (JSON.parse(own) as string[]).map((name) => ({ namespace, script: name }));
  const all = new Map(
    [...named, ...readConsumers(sql, shared)].map((consumer) => [
      `${consumer.namespace}/${consumer.script}`,
      consumer,
    ]),
  );
  all.delete(`${namespace}/${script}`);
  return [...all.values()];
}

/** Throws a Rejection if one does not exist. */
export function refuseBadConsumers(
  sql: SqlStorage,
  namespaceId: string,
  { tailConsumers = [] }: Partial<ScriptSettings>,
): void {
  for (const script of tailConsumers) requireConsumer(sql, namespaceId, script);
}

function requireConsumer(sql: SqlStorage, namespaceId: string, script: string): void {
  const [found] = sql
    .exec(`SELECT 1 FROM scripts WHERE namespace_id = ? AND name = ?`, namespaceId, script)
    .toArray();
  if (!found) throw new Rejection({ reason: "unknown-consumer", script });
}

/** A namespace's own, by name. */
export interface NamespaceConsumer {
  readonly namespace: string;
  readonly script: string;
}

/** Those whose namespace is gone are left out. */
export function readConsumers(sql: SqlStorage, stored: string): NamespaceConsumer[] {
  return (JSON.parse(stored) as StoredConsumer[]).flatMap(({ namespaceId, script }) =>
    sql
      .exec<{ namespace: string }>(
        `SELECT name AS namespace FROM namespaces WHERE id = ?`,
        namespaceId,
      )
      .toArray()
      .map(({ namespace }) => ({ namespace, script })),
  );
}

/** Namespaces that have a Tail Worker in this one. */
export function consumerUsers(
  sql: SqlStorage,
  namespaceId: string,
): { readonly id: string; readonly name: string }[] {
  return sql
    .exec<{ id: string; name: string }>(
      `SELECT id, name FROM namespaces WHERE EXISTS (
         SELECT 1 FROM json_each(tail_consumers) AS consumer WHERE consumer.value ->> 'namespaceId' = ?)`,
      namespaceId,
    )
    .toArray();
}

/** Throws a Rejection if one does not exist. */
export function writeConsumers(
  sql: SqlStorage,
  accountId: string,
  namespaceId: string,
  consumers: readonly NamespaceConsumer[],
): void {
  const stored = consumers.map(({ namespace, script }): StoredConsumer => {
    const [target] = sql
      .exec<{ id: string }>(
        `SELECT id FROM namespaces WHERE account_id = ? AND name = ?`,
        accountId,
        namespace,
      )
      .toArray();
    if (!target) throw new Rejection({ reason: "unknown-namespace", namespace });
    requireConsumer(sql, target.id, script);
    return { namespaceId: target.id, script };
  });
  sql.exec(
    `UPDATE namespaces SET tail_consumers = ? WHERE id = ?`,
    JSON.stringify(stored),
    namespaceId,
  );
}

export function insertTail(sql: SqlStorage, tail: NewTail, now: number): Stored<TailRecord> {
  const { id, namespaceId, script, filters, expiresOn } = tail;
  if (listTails(sql, namespaceId, script).length >= MAX_TAILS) {
    throw new Rejection({ reason: "too-many-tails", max: MAX_TAILS });
  }
  sql.exec(
    `INSERT INTO tails (id, namespace_id, script, filters, created_on, expires_on, lease_until)
     VALUES (?, ?, ?, ?, ?, ?, ?)`,
    id,
    namespaceId,
    script,
    filters,
    now,
    expiresOn,
    now + LEASE_MS,
  );
  return { value: { ...tail, createdOn: now }, generation: touch(sql, [tail]) };
}

interface TailRow extends Record<string, SqlStorageValue> {
  id: string;
  namespace_id: string;
  script: string | null;
  filters: string;
  created_on: number;
  expires_on: number;
}

export function listTails(
  sql: SqlStorage,
  namespaceId: string,
  script: string | null,
): TailRecord[] {
  return sql
    .exec<TailRow>(
      `SELECT * FROM tails WHERE namespace_id = ? AND script IS ? ORDER BY created_on`,
      namespaceId,
      script,
    )
    .toArray()
    .map(toTail);
}

export function findTail(sql: SqlStorage, id: string): TailRecord | null {
  const [row] = sql.exec<TailRow>(`SELECT * FROM tails WHERE id = ?`, id).toArray();
  return row ? toTail(row) : null;
}

export function renewTail(sql: SqlStorage, id: string, now: number): void {
  sql.exec(
    `UPDATE tails SET lease_until = MIN(expires_on, ?) WHERE id = ?`,
    now + 2 * LEASE_MS,
    id,
  );
}

/** Returns the generation of the change; that of no change if there is no such tail. */
export function deleteTail(sql: SqlStorage, id: string): number {
  const tail = findTail(sql, id);
  if (tail === null) return 0;
  sql.exec(`DELETE FROM tails WHERE id = ?`, id);
  return touch(sql, [tail]);
}

export function endLeases(
  sql: SqlStorage,
  now: number,
): { readonly generation: number | null; readonly isAnyLeft: boolean } {
  const ended = sql
    .exec<TailRow>(`DELETE FROM tails WHERE lease_until <= ? RETURNING *`, now)
    .toArray()
    .map(toTail);
  const { count } = sql.exec<{ count: number }>(`SELECT COUNT(*) AS count FROM tails`).one();
  return { generation: ended.length === 0 ? null : touch(sql, ended), isAnyLeft: count > 0 };
}

/** Edges have to know of the scripts that these tails are of. */
function touch(sql: SqlStorage, tails: readonly NewTail[]): number {
  const change = beginChange(sql);
  for (const { namespaceId, script } of tails) {
    const rows = sql
      .exec<{ namespace: string; script: string }>(
        `SELECT namespaces.name AS namespace, scripts.name AS script
         FROM scripts JOIN namespaces ON namespaces.id = scripts.namespace_id
         WHERE namespaces.id = ?1 AND (?2 IS NULL OR scripts.name = ?2)`,
        namespaceId,
        script,
      )
      .toArray();
    for (const row of rows) change.script(row.namespace, row.script);
  }
  return change.generation;
}

function toTail(row: TailRow): TailRecord {
  return {
    id: row.id,
    namespaceId: row.namespace_id,
    script: row.script,
    filters: row.filters,
    createdOn: row.created_on,
    expiresOn: row.expires_on,
  };
}
