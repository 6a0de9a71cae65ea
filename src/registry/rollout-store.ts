/**
 * Rollouts as they are stored: the latest of each script, with every decision and its numbers. Functions that
 * write are called in a transaction. How they change is in rollouts.ts.
 */
import { recordEvent } from "./events.ts";
import type { RolloutLook } from "./rollout-decision.ts";
import type { RolloutRule } from "./rollout-rules.ts";

/** `source` of the deployments that a rollout makes; all others end it. */
export const ROLLOUT_SOURCE = "rollout";

/** What was asked for. */
export interface RolloutPlan {
  readonly candidate: string;
  /** Gets the rest of the traffic, and all of it after a rollback. */
  readonly baseline: string;
  /** Percentages of the candidate one after the other, below 100. Past the last one it gets all. */
  readonly steps: readonly number[];
  readonly intervalMs: number;
  readonly minRequests: number;
  readonly rules: readonly RolloutRule[];
  /** Id of the token that started it. */
  readonly author: string;
}

export type RolloutState = "running" | "promoted" | "rolled-back" | "aborted" | "superseded";

export interface RolloutDecision {
  readonly at: number;
  readonly action: "started" | "advanced" | Exclude<RolloutState, "running">;
  /** Of the candidate from then on; null: what superseded the rollout decides. */
  readonly percentage: number | null;
  readonly why: string;
  /** The numbers it rests on; null: somebody wanted it. */
  readonly look: RolloutLook | null;
}

export interface RolloutRecord {
  readonly id: string;
  readonly scriptId: string;
  readonly namespaceId: string;
  readonly namespace: string;
  readonly script: string;
  readonly plan: RolloutPlan;
  readonly state: RolloutState;
  /** Index into `plan.steps`. */
  readonly step: number;
  readonly stepSince: number;
  readonly startedOn: number;
  readonly endedOn: number | null;
  /** The latest, and when; null: none yet. */
  readonly look: (RolloutLook & { readonly at: number }) | null;
  /** In order of time. */
  readonly decisions: readonly RolloutDecision[];
}

interface Row extends Record<string, SqlStorageValue> {
  id: string;
  script_id: string;
  namespace_id: string;
  namespace: string;
  script: string;
  plan: string;
  state: string;
  step: number;
  step_since: number;
  started_on: number;
  ended_on: number | null;
  look: string | null;
  decisions: string;
}

const SELECT = `
  SELECT rollouts.*, scripts.name AS script, scripts.namespace_id, namespaces.name AS namespace
  FROM rollouts
  JOIN scripts ON scripts.id = rollouts.script_id
  JOIN namespaces ON namespaces.id = scripts.namespace_id`;

export function findRollout(sql: SqlStorage, scriptId: string): RolloutRecord | null {
  return read(sql, `WHERE script_id = ?`, scriptId)[0] ?? null;
}

/** Those that are to be looked at by now. */
export function dueRollouts(sql: SqlStorage, nowMs: number): RolloutRecord[] {
  return read(sql, `WHERE look_at <= ?`, nowMs);
}

/** When the next rollout is to be looked at; null: none is under way. */
export function nextLookMs(sql: SqlStorage): number | null {
  return sql.exec<{ at: number | null }>(`SELECT MIN(look_at) AS at FROM rollouts`).one().at;
}

/** In place of the one that the script had before. */
export function insertRollout(
  sql: SqlStorage,
  { scriptId, id, plan, startedOn }: Pick<RolloutRecord, "scriptId" | "id" | "plan" | "startedOn">,
  lookAtMs: number,
): void {
  sql.exec(
    `INSERT OR REPLACE INTO rollouts
       (script_id, id, plan, state, step, step_since, started_on, look_at, decisions)
     VALUES (?, ?, ?, 'running', 0, ?, ?, ?, '[]')`,
    scriptId,
    id,
    JSON.stringify(plan),
    startedOn,
    startedOn,
    lookAtMs,
  );
}

export function storeLook(
  sql: SqlStorage,
  { id }: RolloutRecord,
  look: RolloutLook | null,
  nowMs: number,
  nextMs: number,
): void {
  sql.exec(
    `UPDATE rollouts SET look = COALESCE(?, look), look_at = ? WHERE id = ?`,
    look && JSON.stringify({ ...look, at: nowMs }),
    nextMs,
    id,
  );
}

export function storeStep(sql: SqlStorage, { id }: RolloutRecord, step: number, now: number): void {
  sql.exec(`UPDATE rollouts SET step = ?, step_since = ? WHERE id = ?`, step, now, id);
}

/** Adds a decision, also to the script's events. One that ends the rollout ends it here. */
export function storeDecision(
  sql: SqlStorage,
  rollout: RolloutRecord,
  decision: RolloutDecision,
): void {
  const { action, at, percentage, why } = decision;
  sql.exec(
    `UPDATE rollouts SET decisions = json_insert(decisions, '$[#]', json(?)) WHERE id = ?`,
    JSON.stringify(decision),
    rollout.id,
  );
  if (action !== "started" && action !== "advanced") {
    sql.exec(
      `UPDATE rollouts SET state = ?, ended_on = ?, look_at = NULL WHERE id = ?`,
      action,
      at,
      rollout.id,
    );
  }
  const { namespaceId, namespace, script, plan } = rollout;
  recordEvent(sql, {
    at,
    kind: "rollout",
    function: { namespaceId, namespace, script, versionId: plan.candidate },
    process: null,
    detail: `${action}${percentage === null ? "" : ` at ${percentage} %`}: ${why}`,
  });
}

/** Call when a deployment that no rollout made came into force: it ends the one under way. */
export function supersedeRollout(
  sql: SqlStorage,
  scriptId: string,
  { author, source }: { readonly author: string; readonly source: string },
  now: number,
): void {
  const rollout = findRollout(sql, scriptId);
  if (rollout?.state !== "running" || source === ROLLOUT_SOURCE) return;
  storeDecision(sql, rollout, {
    at: now,
    action: "superseded",
    percentage: null,
    why: `another deployment came into force (by ${author} with ${source})`,
    look: null,
  });
}

function read(sql: SqlStorage, where: string, value: SqlStorageValue): RolloutRecord[] {
  return sql
    .exec<Row>(`${SELECT} ${where}`, value)
    .toArray()
    .map((row) => ({
      id: row.id,
      scriptId: row.script_id,
      namespaceId: row.namespace_id,
      namespace: row.namespace,
      script: row.script,
      plan: JSON.parse(row.plan) as RolloutPlan,
      state: row.state as RolloutState,
      step: row.step,
      stepSince: row.step_since,
      startedOn: row.started_on,
      endedOn: row.ended_on,
      look: row.look === null ? null : (JSON.parse(row.look) as RolloutRecord["look"]),
      decisions: JSON.parse(row.decisions) as RolloutDecision[],
    }));
}
