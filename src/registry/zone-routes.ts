/**
 * Routes and custom domains of zones. Both lead to Workers of the account, and are rows of the one table of routes; a
 * custom domain is all of a host. Functions that write are called in a transaction.
 */
import { Rejection } from "./failures.ts";
import { currentGeneration } from "./generation.ts";
import { accountNamespace } from "./namespaces.ts";
import { deleteRoute, putRoute } from "./routes.ts";
import { requireScript } from "./scripts.ts";
import { contains, requireNamedZone, requireZoneOf, type ZoneRecord } from "./zones.ts";

export interface ZoneRoute {
  readonly id: string;
  readonly pattern: string;
  /** null: what matches goes to no Worker. */
  readonly script: string | null;
  readonly zoneId: string;
  readonly zone: string;
  /** The pattern is `<host>/*`. */
  readonly isCustomDomain: boolean;
}

/** A pattern (src/protocol/route-pattern.ts) and the host that has to be in a zone. */
export interface ZonePattern {
  readonly pattern: string;
  readonly host: string;
  /** Id or name of the zone, if the caller says so. */
  readonly zone?: string | undefined;
}

/** What a list of custom domains changes. */
export interface DomainChanges {
  /** Hosts. */
  readonly added: readonly string[];
  readonly removed: readonly ZoneRoute[];
  /** Kept as they are, or taken from another script. */
  readonly updated: readonly ZoneRoute[];
  /** Hosts with a route for all of them. */
  readonly conflicting: readonly string[];
}

interface Row extends Record<string, SqlStorageValue> {
  id: string;
  pattern: string;
  script: string | null;
  zone_id: string;
  zone: string;
  custom_domain: number;
}

const SELECT = `
  SELECT routes.id, routes.pattern, routes.script, routes.zone_id, zones.name AS zone, routes.custom_domain
  FROM routes JOIN zones ON zones.id = routes.zone_id`;

/** Without custom domains. */
export function listZoneRoutes(sql: SqlStorage, zone: ZoneRecord): ZoneRoute[] {
  return select(sql, `routes.zone_id = ? AND NOT custom_domain`, zone.id);
}

export function requireZoneRoute(sql: SqlStorage, zone: ZoneRecord, id: string): ZoneRoute {
  const [route] = select(
    sql,
    `routes.zone_id = ? AND NOT custom_domain AND routes.id = ?`,
    zone.id,
    id,
  );
  if (!route) throw new Rejection({ reason: "unknown-route", id });
  return route;
}

/** Creates the route, or replaces the one with this id. Returns the generation of the change. */
export function putZoneRoute(
  sql: SqlStorage,
  accountId: string,
  zone: ZoneRecord,
  id: string,
  { pattern, host }: ZonePattern,
  script: string | null,
  now: number,
): number {
  if (!contains(zone, host)) {
    throw new Rejection({ reason: "not-in-zone", pattern, zone: zone.name });
  }
  const { id: namespaceId } = accountNamespace(sql, accountId);
  return putRoute(sql, id, { pattern, namespaceId, script, zoneId: zone.id }, now);
}

/** From now on the routes of a script are these. Returns the generation of the change. */
export function setScriptRoutes(
  sql: SqlStorage,
  accountId: string,
  script: string,
  patterns: readonly ZonePattern[],
  now: number,
): number {
  const before = routesOf(sql, accountId, script, false);
  let generation = currentGeneration(sql);
  for (const { id, pattern } of before) {
    if (!patterns.some((wanted) => wanted.pattern === pattern)) generation = deleteRoute(sql, id);
  }
  for (const wanted of patterns) {
    const zone = zoneFor(sql, accountId, wanted);
    const known = before.find(({ pattern }) => pattern === wanted.pattern);
    const id = known?.id ?? crypto.randomUUID();
    generation = putZoneRoute(sql, accountId, zone, id, wanted, script, now);
  }
  return generation;
}

export function routesOf(
  sql: SqlStorage,
  accountId: string,
  script: string,
  customDomains: boolean,
): ZoneRoute[] {
  const { id } = accountNamespace(sql, accountId);
  requireScript(sql, id, script);
  return select(
    sql,
    `routes.namespace_id = ? AND routes.script = ? AND custom_domain = ?`,
    id,
    script,
    Number(customDomains),
  );
}

/** Routes and custom domains of a script or of a zone. */
export function allRoutesOf(
  sql: SqlStorage,
  owner: { readonly namespaceId: string; readonly name: string } | { readonly zoneId: string },
): ZoneRoute[] {
  if ("zoneId" in owner) return select(sql, `routes.zone_id = ?`, owner.zoneId);
  const { namespaceId, name } = owner;
  return select(sql, `routes.namespace_id = ? AND routes.script = ?`, namespaceId, name);
}

/** Of all scripts of the account. */
export function listDomains(sql: SqlStorage, accountId: string): ZoneRoute[] {
  return select(sql, `zones.account_id = ? AND custom_domain`, accountId);
}

export function requireDomain(sql: SqlStorage, accountId: string, id: string): ZoneRoute {
  const domain = listDomains(sql, accountId).find((each) => each.id === id);
  if (!domain) throw new Rejection({ reason: "unknown-domain", id });
  return domain;
}

/** Takes the domain from another script if need be. Returns the generation of the change. */
export function putDomain(
  sql: SqlStorage,
  accountId: string,
  script: string,
  domain: ZonePattern,
  now: number,
): number {
  const zone = zoneFor(sql, accountId, domain);
  const known = listDomains(sql, accountId).find(({ pattern }) => pattern === domain.pattern);
  const { id: namespaceId } = accountNamespace(sql, accountId);
  const { pattern } = domain;
  const spec = { pattern, namespaceId, script, zoneId: zone.id, isCustomDomain: true };
  return putRoute(sql, known?.id ?? crypto.randomUUID(), spec, now);
}

/** `wanted` is all that the script is to have. */
export function domainChanges(
  sql: SqlStorage,
  accountId: string,
  script: string,
  wanted: readonly ZonePattern[],
): DomainChanges {
  for (const domain of wanted) zoneFor(sql, accountId, domain);
  const isWanted = ({ pattern }: ZoneRoute) => wanted.some((each) => each.pattern === pattern);
  const own = routesOf(sql, accountId, script, true);
  const known = listDomains(sql, accountId);
  const fresh = wanted.filter(({ pattern }) => !known.some((each) => each.pattern === pattern));
  const isTaken = ({ pattern }: ZonePattern) =>
    sql.exec(`SELECT 1 FROM routes WHERE pattern = ?`, pattern).toArray().length > 0;
  const hosts = (patterns: readonly ZonePattern[]) => patterns.map(({ host }) => host);
  return {
    added: hosts(fresh.filter((domain) => !isTaken(domain))),
    removed: own.filter((domain) => !isWanted(domain)),
    updated: known.filter(isWanted),
    conflicting: hosts(fresh.filter(isTaken)),
  };
}

/** From now on the custom domains of a script are these. Returns the generation of the change. */
export function setDomains(
  sql: SqlStorage,
  accountId: string,
  script: string,
  wanted: readonly ZonePattern[],
  { keepOthers, mayTake }: { readonly keepOthers: boolean; readonly mayTake: boolean },
  now: number,
): number {
  const { removed, updated } = domainChanges(sql, accountId, script, wanted);
  const [foreign] = updated.filter((domain) => domain.script !== script);
  if (foreign !== undefined && !mayTake) {
    throw new Rejection({
      reason: "route-exists",
      pattern: foreign.pattern,
      owner: foreign.script,
    });
  }
  let generation = currentGeneration(sql);
  if (!keepOthers) for (const { id } of removed) generation = deleteRoute(sql, id);
  for (const domain of wanted) generation = putDomain(sql, accountId, script, domain, now);
  return generation;
}

/** The zone that the caller names, or the one whose host it is. */
function zoneFor(
  sql: SqlStorage,
  accountId: string,
  { pattern, host, zone: wanted }: ZonePattern,
): ZoneRecord {
  if (wanted === undefined) return requireZoneOf(sql, accountId, host, pattern);
  const zone = requireNamedZone(sql, accountId, wanted);
  if (!contains(zone, host))
    throw new Rejection({ reason: "not-in-zone", pattern, zone: zone.name });
  return zone;
}

function select(sql: SqlStorage, where: string, ...values: (string | number)[]): ZoneRoute[] {
  return sql
    .exec<Row>(`${SELECT} WHERE ${where} ORDER BY routes.pattern`, ...values)
    .toArray()
    .map((row) => ({
      id: row.id,
      pattern: row.pattern,
      script: row.script,
      zoneId: row.zone_id,
      zone: row.zone,
      isCustomDomain: row.custom_domain !== 0,
    }));
}
