/**
 * What wakes a script beside requests: its Cron Triggers, and how its asynchronous invocations are treated. The store learns
 * of a script when it has a row here or Durable Objects, and by triggers (schema.ts) of each change and of its end. Functions that write are
 * called in a transaction.
 */
import { DEFAULT_INVOCATION_SETTINGS, type InvocationSettings } from "../protocol/invocations.ts";
import type { LimitSettings } from "../protocol/limits.ts";
import type { StoreConfig } from "../protocol/store.ts";

export interface ScheduleRecord {
  readonly cron: string;
  readonly createdOn: number;
  readonly modifiedOn: number;
}

export interface ScriptEvents {
  readonly schedules: readonly ScheduleRecord[];
  /** null: it was never invoked so, nor was that configured. */
  readonly invocations: InvocationSettings | null;
}

const NONE: ScriptEvents = { schedules: [], invocations: null };

export function scriptEvents(sql: SqlStorage, scriptId: string): ScriptEvents {
  return find(sql, scriptId) ?? NONE;
}

/** In place of those before; one that was there keeps its date. */
export function setSchedules(
  sql: SqlStorage,
  scriptId: string,
  crons: readonly string[],
  now: number,
): ScriptEvents {
  const before = scriptEvents(sql, scriptId);
  const schedules = [...new Set(crons)].map((cron) => ({
    cron,
    createdOn: before.schedules.find((known) => known.cron === cron)?.createdOn ?? now,
    modifiedOn: now,
  }));
  return put(sql, scriptId, { ...before, schedules });
}

export function setInvocations(
  sql: SqlStorage,
  scriptId: string,
  invocations: InvocationSettings,
): ScriptEvents {
  return put(sql, scriptId, { ...scriptEvents(sql, scriptId), invocations });
}

/** From then on the store takes asynchronous invocations of it. */
export function introduceInvocations(sql: SqlStorage, scriptId: string): void {
  const events = scriptEvents(sql, scriptId);
  if (events.invocations !== null) return;
  put(sql, scriptId, { ...events, invocations: DEFAULT_INVOCATION_SETTINGS });
}

/** null: the store need not know of the script, or there is none. */
export function scriptConfig(sql: SqlStorage, id: string): StoreConfig | null {
  const found = find(sql, id);
  const hasObjects =
    sql
      .exec(
        `SELECT 1 FROM object_classes WHERE script_id = ? UNION SELECT 1 FROM workflows WHERE script_id = ?`,
        id,
        id,
      )
      .toArray().length > 0;
  if (found === null && !hasObjects) return null;
  const events = found ?? NONE;
  const { account_id, namespace_id, namespace, name, kind, limits } = sql
    .exec<Record<"account_id" | "namespace_id" | "namespace" | "name" | "kind" | "limits", string>>(
      `SELECT namespaces.account_id, namespaces.id AS namespace_id, namespaces.name AS namespace, scripts.name,
         namespaces.kind, namespaces.limits
       FROM scripts JOIN namespaces ON namespaces.id = scripts.namespace_id WHERE scripts.id = ?`,
      id,
    )
    .one();
  const crons = events.schedules.map(({ cron }) => cron);
  const isAccounts = kind === "account";
  const settings = { crons, invocations: events.invocations, hasObjects, isAccounts };
  const place = { accountId: account_id, namespaceId: namespace_id, namespace, name };
  const own = isAccounts ? {} : (JSON.parse(limits) as LimitSettings);
  return { kind: "script", id, ...place, settings, limits: own };
}

function find(sql: SqlStorage, scriptId: string): ScriptEvents | null {
  const [row] = sql
    .exec<{ schedules: string; invocations: string | null }>(
      `SELECT schedules, invocations FROM script_events WHERE script_id = ?`,
      scriptId,
    )
    .toArray();
  return row === undefined
    ? null
    : {
        schedules: JSON.parse(row.schedules) as ScheduleRecord[],
        invocations:
          row.invocations === null ? null : (JSON.parse(row.invocations) as InvocationSettings),
      };
}

function put(sql: SqlStorage, scriptId: string, events: ScriptEvents): ScriptEvents {
  sql.exec(
    `INSERT INTO script_events (script_id, schedules, invocations) VALUES (?, ?, ?)
     ON CONFLICT DO UPDATE SET schedules = excluded.schedules, invocations = excluded.invocations`,
    scriptId,
    JSON.stringify(events.schedules),
    events.invocations && JSON.stringify(events.invocations),
  );
  return events;
}
