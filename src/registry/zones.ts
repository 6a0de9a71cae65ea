/** Zones: domains of an account, whose hosts its routes and custom domains may name. Writers run in a transaction. */
import { Rejection } from "./failures.ts";
import { beginChange, type Change } from "./generation.ts";

export interface ZoneRecord {
  readonly id: string;
  /** Lower case, such as `example.com`. */
  readonly name: string;
  readonly createdOn: number;
}

interface Row extends Record<string, SqlStorageValue> {
  id: string;
  name: string;
  created_on: number;
}

const SELECT = `SELECT id, name, created_on FROM zones`;

export function listZones(sql: SqlStorage, accountId: string): ZoneRecord[] {
  return sql
    .exec<Row>(`${SELECT} WHERE account_id = ? ORDER BY name`, accountId)
    .toArray()
    .map(toZone);
}

export function requireZone(sql: SqlStorage, accountId: string, id: string): ZoneRecord {
  const [row] = sql.exec<Row>(`${SELECT} WHERE account_id = ? AND id = ?`, accountId, id).toArray();
  if (!row) throw new Rejection({ reason: "unknown-zone", id });
  return toZone(row);
}

/** By id or name. */
export function requireNamedZone(sql: SqlStorage, accountId: string, zone: string): ZoneRecord {
  const found = listZones(sql, accountId).find(({ id, name }) => zone === id || zone === name);
  if (!found) throw new Rejection({ reason: "unknown-zone", id: zone });
  return found;
}

/** The one whose host this is; that with the longest name, if zones lie in others. */
export function requireZoneOf(
  sql: SqlStorage,
  accountId: string,
  host: string,
  pattern: string,
): ZoneRecord {
  const [row] = sql
    .exec<Row>(
      `${SELECT} WHERE account_id = ?1 AND (?2 = name OR ?2 LIKE '%.' || name) ORDER BY LENGTH(name) DESC LIMIT 1`,
      accountId,
      host,
    )
    .toArray();
  if (!row) throw new Rejection({ reason: "no-zone", host, pattern });
  return toZone(row);
}

export function contains({ name }: ZoneRecord, host: string): boolean {
  return host === name || host.endsWith(`.${name}`);
}

/** No zone may lie in one of another account: a route for the inner one would take the outer one's requests. */
export function addZone(sql: SqlStorage, accountId: string, name: string, now: number): ZoneRecord {
  const [taken] = sql
    .exec<{ name: string }>(
      `SELECT name FROM zones WHERE name = ?1
       OR account_id <> ?2 AND (?1 LIKE '%.' || name OR name LIKE '%.' || ?1)`,
      name,
      accountId,
    )
    .toArray();
  if (taken) throw new Rejection({ reason: "zone-exists", name, taken: taken.name });
  const id = crypto.randomUUID().replaceAll("-", "");
  sql.exec(
    `INSERT INTO zones (id, account_id, name, created_on) VALUES (?, ?, ?, ?)`,
    id,
    accountId,
    name,
    now,
  );
  return { id, name, createdOn: now };
}

/** With its routes and custom domains. Returns the generation of the change. */
export function removeZone(sql: SqlStorage, { id }: ZoneRecord): number {
  sql.exec(`DELETE FROM zones WHERE id = ?`, id);
  const change = beginChange(sql);
  change.routes();
  return change.generation;
}

/** The script is deleted, and with it what leads to it from zones, as on Cloudflare. */
export function dropRoutesTo(
  sql: SqlStorage,
  change: Change,
  { namespaceId, name }: { readonly namespaceId: string; readonly name: string },
): void {
  const { rowsWritten } = sql.exec(
    `DELETE FROM routes WHERE namespace_id = ? AND script = ? AND zone_id IS NOT NULL`,
    namespaceId,
    name,
  );
  if (rowsWritten > 0) change.routes();
}

function toZone({ id, name, created_on: createdOn }: Row): ZoneRecord {
  return { id, name, createdOn };
}
