/** Custom routes. Functions that write are called in a transaction. */
import type { Route } from "../protocol/routing.ts";
import { Rejection } from "./failures.ts";
import { beginChange } from "./generation.ts";
import { requireScript } from "./scripts.ts";

const SELECT = `
  SELECT routes.id, routes.pattern, namespaces.name AS namespace, routes.script
  FROM routes JOIN namespaces ON namespaces.id = routes.namespace_id`;

type RouteRow = { id: string; pattern: string; namespace: string; script: string | null };

export interface RouteSpec {
  /** Valid (src/protocol/route-pattern.ts), in the form that is stored. */
  readonly pattern: string;
  readonly namespaceId: string;
  readonly script: string | null;
  /** Absent: it belongs to no zone. */
  readonly zoneId?: string;
  readonly isCustomDomain?: boolean;
}

/** The routes of all accounts, as edges see them. */
export function allRoutes(sql: SqlStorage): Route[] {
  return sql.exec<RouteRow>(`${SELECT} ORDER BY routes.pattern`).toArray();
}

/** Those of zones (zone-routes.ts) are not among them: what changes them would take them from their zone. */
export function listRoutes(sql: SqlStorage, accountId: string): Route[] {
  return sql
    .exec<RouteRow>(
      `${SELECT} WHERE namespaces.account_id = ? AND routes.zone_id IS NULL ORDER BY routes.pattern`,
      accountId,
    )
    .toArray();
}

export function requireRoute(sql: SqlStorage, accountId: string, id: string): Route {
  const [row] = sql
    .exec<RouteRow>(
      `${SELECT} WHERE namespaces.account_id = ? AND routes.zone_id IS NULL AND routes.id = ?`,
      accountId,
      id,
    )
    .toArray();
  if (!row) throw new Rejection({ reason: "unknown-route", id });
  return row;
}

/** Of a zone or not; null: there is none. */
export function findRoute(sql: SqlStorage, accountId: string, id: string): Route | null {
  const [row] = sql
    .exec<RouteRow>(`${SELECT} WHERE namespaces.account_id = ? AND routes.id = ?`, accountId, id)
    .toArray();
  return row ?? null;
}

/** Creates the route, or replaces the one with this id. Returns the generation of the change. */
export function putRoute(sql: SqlStorage, id: string, spec: RouteSpec, now: number): number {
  if (spec.script !== null) requireScript(sql, spec.namespaceId, spec.script);
  const [taken] = sql
    .exec<{ id: string; script: string | null }>(
      `SELECT id, script FROM routes WHERE pattern = ?`,
      spec.pattern,
    )
    .toArray();
  if (taken && taken.id !== id) {
    throw new Rejection({ reason: "route-exists", pattern: spec.pattern, owner: taken.script });
  }
  sql.exec(
    `INSERT INTO routes (id, pattern, namespace_id, script, created_on, zone_id, custom_domain) VALUES (?, ?, ?, ?, ?, ?, ?)
     ON CONFLICT (id) DO UPDATE SET pattern = excluded.pattern, namespace_id = excluded.namespace_id,
       script = excluded.script, zone_id = excluded.zone_id, custom_domain = excluded.custom_domain`,
    id,
    spec.pattern,
    spec.namespaceId,
    spec.script,
    now,
    spec.zoneId ?? null,
    Number(spec.isCustomDomain ?? false),
  );
  return touchRoutes(sql);
}

export function deleteRoute(sql: SqlStorage, id: string): number {
  sql.exec(`DELETE FROM routes WHERE id = ?`, id);
  return touchRoutes(sql);
}

function touchRoutes(sql: SqlStorage): number {
  const change = beginChange(sql);
  change.routes();
  return change.generation;
}
