/**
 * Static assets as rows: which contents a namespace has (`assets`), which manifests name them, and the sessions in
 * which they are being uploaded. A content is known by the hash that its uploader gave it, within one namespace:
 * what another namespace has cannot be found out. The files themselves are blobs, shared by all namespaces.
 *
 * Who keeps what: a session keeps the contents that it names until it ends; a manifest keeps its contents, and
 * stays as long as a version names it, or for as long as a deploy may take. sweepAssets drops the rest.
 */
import { Rejection } from "./failures.ts";

/** What is claimed of a content before it is uploaded. */
export interface AssetClaim {
  readonly hash: string;
  readonly size: number;
}

export interface StoredAsset extends AssetClaim {
  readonly blob: string;
  readonly contentType: string | null;
}

export interface AssetSession {
  readonly id: string;
  readonly namespaceId: string;
  /** Name in the blob store of what is to become the manifest. */
  readonly blob: string;
  readonly expiresOn: number;
}

/**
 * Open at a time in a namespace: each is up to 20,000 rows and a manifest on the disk. A deploy has done with its own
 * long before so many others have begun.
 */
export const MAX_SESSIONS = 200;

/** Returns the contents that the namespace lacks. The oldest sessions make room. */
export function openSession(
  sql: SqlStorage,
  { id, namespaceId, blob, expiresOn }: AssetSession,
  claims: readonly AssetClaim[],
): AssetClaim[] {
  sql.exec(
    `INSERT INTO asset_sessions (id, namespace_id, blob, expires_on) VALUES (?, ?, ?, ?)`,
    id,
    namespaceId,
    blob,
    expiresOn,
  );
  sql.exec(
    `DELETE FROM asset_sessions WHERE namespace_id = ?1 AND id NOT IN (
       SELECT id FROM asset_sessions WHERE namespace_id = ?1 ORDER BY expires_on DESC, rowid DESC LIMIT ?2
     )`,
    namespaceId,
    MAX_SESSIONS,
  );
  for (const { hash, size } of claims) {
    sql.exec(
      `INSERT INTO session_assets (session_id, hash, size) VALUES (?, ?, ?)`,
      id,
      hash,
      size,
    );
  }
  return missingAssets(sql, id);
}

/** Throws a Rejection if there is none, or it has expired. */
export function requireSession(sql: SqlStorage, id: string, now: number): AssetSession {
  const [row] = sql
    .exec<{ namespace_id: string; blob: string; expires_on: number }>(
      `SELECT namespace_id, blob, expires_on FROM asset_sessions WHERE id = ? AND expires_on > ?`,
      id,
      now,
    )
    .toArray();
  if (!row) throw new Rejection({ reason: "unknown-asset-session" });
  return { id, namespaceId: row.namespace_id, blob: row.blob, expiresOn: row.expires_on };
}

/** The claims of a session on these hashes; what it does not claim is left out. */
export function claimsOn(sql: SqlStorage, id: string, hashes: readonly string[]): AssetClaim[] {
  return hashes.flatMap((hash) =>
    sql
      .exec<{ hash: string; size: number }>(
        `SELECT hash, size FROM session_assets WHERE session_id = ? AND hash = ?`,
        id,
        hash,
      )
      .toArray(),
  );
}

/** Their blobs are stored. Returns how many contents of the session are still missing. */
export function storeAssets(
  sql: SqlStorage,
  { id, namespaceId }: AssetSession,
  assets: readonly StoredAsset[],
  now: number,
): number {
  for (const { hash, blob, size, contentType } of assets) {
    sql.exec(
      `INSERT OR IGNORE INTO assets (namespace_id, hash, blob, size, content_type, created_on) VALUES (?, ?, ?, ?, ?, ?)`,
      namespaceId,
      hash,
      blob,
      size,
      contentType,
      now,
    );
    const stored = sql
      .exec<{ blob: string }>(
        `SELECT blob FROM assets WHERE namespace_id = ? AND hash = ?`,
        namespaceId,
        hash,
      )
      .one();
    if (stored.blob !== blob) throw new Rejection({ reason: "asset-differs", hash });
  }
  return missingAssets(sql, id).length;
}

/** All contents of a session. Throws a Rejection if some are missing. */
export function sessionAssets(sql: SqlStorage, id: string): StoredAsset[] {
  const missing = missingAssets(sql, id).length;
  if (missing > 0) throw new Rejection({ reason: "missing-assets", count: missing });
  return sql
    .exec<{ hash: string; blob: string; size: number; content_type: string | null }>(
      `SELECT assets.hash, assets.blob, assets.size, assets.content_type FROM asset_sessions
       JOIN session_assets ON session_assets.session_id = asset_sessions.id
       JOIN assets ON assets.namespace_id = asset_sessions.namespace_id AND assets.hash = session_assets.hash
       WHERE asset_sessions.id = ?`,
      id,
    )
    .toArray()
    .map(({ content_type: contentType, ...asset }) => ({ ...asset, contentType }));
}

/** Its blob is stored. Throws a Rejection if the namespace lacks one of the contents. */
export function addManifest(
  sql: SqlStorage,
  namespaceId: string,
  blob: string,
  hashes: readonly string[],
  now: number,
): void {
  const { id } = sql
    .exec<{ id: number }>(
      `INSERT INTO asset_manifests (namespace_id, blob, created_on) VALUES (?, ?, ?)
       ON CONFLICT DO UPDATE SET created_on = excluded.created_on RETURNING id`,
      namespaceId,
      blob,
      now,
    )
    .one();
  let count = 0;
  for (const hash of hashes) {
    const found = sql
      .exec<{ id: number }>(
        `SELECT id FROM assets WHERE namespace_id = ? AND hash = ?`,
        namespaceId,
        hash,
      )
      .toArray();
    for (const asset of found) {
      sql.exec(`INSERT OR IGNORE INTO manifest_assets VALUES (?, ?)`, id, asset.id);
      count++;
    }
  }
  const lacking = hashes.length - count;
  if (lacking > 0) throw new Rejection({ reason: "missing-assets", count: lacking });
}

function missingAssets(sql: SqlStorage, id: string): AssetClaim[] {
  return sql
    .exec<{ hash: string; size: number }>(
      `SELECT session_assets.hash, session_assets.size FROM asset_sessions
       JOIN session_assets ON session_assets.session_id = asset_sessions.id
       WHERE asset_sessions.id = ? AND NOT EXISTS (
         SELECT 1 FROM assets
         WHERE assets.namespace_id = asset_sessions.namespace_id AND assets.hash = session_assets.hash
       )`,
      id,
    )
    .toArray();
}

/** A condition on a row of `blobs`. */
export const NAMED_BY_ASSETS = `(
  EXISTS (SELECT 1 FROM assets WHERE assets.blob = blobs.hash)
  OR EXISTS (SELECT 1 FROM asset_manifests WHERE asset_manifests.blob = blobs.hash)
  OR EXISTS (SELECT 1 FROM asset_sessions WHERE asset_sessions.blob = blobs.hash))`;

/** Manifests that were made later than `madeBefore` may be on their way into a version. */
export function sweepAssets(sql: SqlStorage, now: number, madeBefore: number): void {
  sql.exec(`DELETE FROM asset_sessions WHERE expires_on <= ?`, now);
  sql.exec(
    `DELETE FROM asset_manifests WHERE created_on < ? AND NOT EXISTS (
       SELECT 1 FROM versions
       WHERE versions.assets IS NOT NULL AND json_extract(versions.assets, '$.manifest') = asset_manifests.blob
     )`,
    madeBefore,
  );
  sql.exec(
    `DELETE FROM assets
     WHERE NOT EXISTS (SELECT 1 FROM manifest_assets WHERE manifest_assets.asset_id = assets.id)
     AND NOT EXISTS (
       SELECT 1 FROM session_assets JOIN asset_sessions ON asset_sessions.id = session_assets.session_id
       WHERE session_assets.hash = assets.hash AND asset_sessions.namespace_id = assets.namespace_id
     )`,
  );
}

/** Whether there will be more to sweep later on. */
export function hasAssetSessions(sql: SqlStorage): boolean {
  const { waiting } = sql
    .exec<{ waiting: number }>(
      `SELECT EXISTS (SELECT 1 FROM asset_sessions) OR EXISTS (
         SELECT 1 FROM asset_manifests WHERE NOT EXISTS (
           SELECT 1 FROM versions
           WHERE versions.assets IS NOT NULL AND json_extract(versions.assets, '$.manifest') = asset_manifests.blob
         )
       ) AS waiting`,
    )
    .one();
  return waiting !== 0;
}
