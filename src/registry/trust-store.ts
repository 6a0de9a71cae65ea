/** The trust of versions as it is stored. Functions that write are called in a transaction. */
import { ISOLATION } from "./object-classes.ts";
import type { Isolation, Trust } from "../protocol/placement.ts";
import type { TrustRecord } from "./trust.ts";

export const TRUST_COLUMNS = `trust.state AS trust_state, trust.why AS trust_why, trust.since AS trust_since,
    trust.strikes, trust.convictions, trust.refused_until`;

export interface TrustRow extends Record<string, SqlStorageValue> {
  trust_state: string;
  trust_why: string;
  trust_since: number;
  strikes: string;
  convictions: number;
  refused_until: number;
}

export function toTrust(row: TrustRow): TrustRecord {
  return {
    state: row.trust_state as Trust,
    why: row.trust_why,
    sinceMs: row.trust_since,
    strikes: JSON.parse(row.strikes) as number[],
    convictions: row.convictions,
    refusedUntilMs: row.refused_until,
  };
}

export function storeTrust(sql: SqlStorage, versionId: string, trust: TrustRecord): void {
  sql.exec(
    `INSERT OR REPLACE INTO trust (version_id, state, why, since, strikes, convictions, refused_until)
     VALUES (?, ?, ?, ?, ?, ?, ?)`,
    versionId,
    trust.state,
    trust.why,
    trust.sinceMs,
    JSON.stringify(trust.strikes),
    trust.convictions,
    trust.refusedUntilMs,
  );
}

/** What the newest version of a script with the same code has come to, or one that is convicted; null: it is new. */
export function findTrustOfCode(
  sql: SqlStorage,
  scriptId: string,
  blob: string,
  except: string,
): TrustRecord | null {
  const [row] = sql
    .exec<TrustRow>(
      `SELECT ${TRUST_COLUMNS} FROM versions JOIN trust ON trust.version_id = versions.id
       WHERE versions.script_id = ? AND versions.blob = ? AND versions.id <> ?
       ORDER BY trust.state = 'convicted' DESC, versions.number DESC LIMIT 1`,
      scriptId,
      blob,
      except,
    )
    .toArray();
  return row ? toTrust(row) : null;
}

/** A version's trust and whose version it is. */
export interface TrustedVersion {
  readonly versionId: string;
  readonly trust: TrustRecord;
  readonly namespaceId: string;
  readonly namespace: string;
  readonly script: string;
  /** Of the namespace; null: the platform's. */
  readonly isolation: Isolation | null;
  /** It gets traffic of its script. */
  readonly active: boolean;
}

interface TrustedRow extends TrustRow {
  namespace_id: string;
  namespace: string;
  script: string;
  isolation: string | null;
  active: number;
}

/** null: there is no such version (any more). */
export function findTrust(sql: SqlStorage, versionId: string): TrustedVersion | null {
  const [row] = sql
    .exec<TrustedRow>(
      `SELECT namespaces.id AS namespace_id, namespaces.name AS namespace, scripts.name AS script,
         ${ISOLATION} AS isolation, versions.superseded_on IS NULL AS active, ${TRUST_COLUMNS}
       FROM trust
       JOIN versions ON versions.id = trust.version_id
       JOIN scripts ON scripts.id = versions.script_id
       JOIN namespaces ON namespaces.id = scripts.namespace_id
       WHERE trust.version_id = ?`,
      versionId,
    )
    .toArray();
  if (!row) return null;
  return {
    versionId,
    trust: toTrust(row),
    namespaceId: row.namespace_id,
    namespace: row.namespace,
    script: row.script,
    isolation: row.isolation as Isolation | null,
    active: row.active !== 0,
  };
}

/** How many versions came into each state, since there is a registry. */
export function trustChanges(sql: SqlStorage): Record<string, number> {
  const rows = sql
    .exec<{ key: string; value: number }>(`SELECT key, value FROM meta WHERE key LIKE 'trust:%'`)
    .toArray();
  return Object.fromEntries(rows.map(({ key, value }) => [key.slice("trust:".length), value]));
}

export function countTrustChange(sql: SqlStorage, to: Trust): void {
  sql.exec(
    `INSERT INTO meta (key, value) VALUES (?, 1) ON CONFLICT DO UPDATE SET value = value + 1`,
    `trust:${to}`,
  );
}
