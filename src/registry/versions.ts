/** The versions of a script as they are read: all that are kept, whether they get traffic or not. */
import { Rejection } from "./failures.ts";
import type {
  AssetsRecord,
  CodeRecord,
  StoredBinding,
  VersionRecord,
  VersionSettings,
  VersionSummary,
} from "./records.ts";

export interface VersionRow extends Record<string, SqlStorageValue> {
  id: string;
  number: number;
  created_on: number;
  author: string;
  source: string;
  code: string;
  settings: string;
  bindings: string;
  annotations: string;
  assets: string | null;
}

export function toVersion(row: VersionRow): VersionRecord {
  return {
    id: row.id,
    number: row.number,
    createdOn: row.created_on,
    author: row.author,
    source: row.source,
    code: JSON.parse(row.code) as CodeRecord,
    settings: JSON.parse(row.settings) as VersionSettings,
    bindings: JSON.parse(row.bindings) as StoredBinding[],
    annotations: JSON.parse(row.annotations) as Record<string, string>,
    assets: row.assets === null ? null : (JSON.parse(row.assets) as AssetsRecord),
  };
}

/** Newest first. What bindings are worth stays in the database. */
export function listVersions(
  sql: SqlStorage,
  namespaceId: string,
  script: string,
): VersionSummary[] {
  return sql
    .exec<VersionRow>(
      `SELECT versions.id, number, versions.created_on, author, source, code, settings, annotations, assets, (
         SELECT json_group_array(json_object('type', value ->> 'type', 'name', value ->> 'name'))
         FROM json_each(versions.bindings)) AS bindings
       FROM versions JOIN scripts ON scripts.id = versions.script_id
       WHERE scripts.namespace_id = ? AND scripts.name = ? ORDER BY number DESC`,
      namespaceId,
      script,
    )
    .toArray()
    .map(toVersion);
}

export function requireVersion(
  sql: SqlStorage,
  namespaceId: string,
  script: string,
  versionId: string,
): VersionRecord {
  const [row] = sql
    .exec<VersionRow>(
      `SELECT versions.* FROM versions JOIN scripts ON scripts.id = versions.script_id
       WHERE scripts.namespace_id = ? AND scripts.name = ? AND versions.id = ?`,
      namespaceId,
      script,
      versionId,
    )
    .toArray();
  if (!row) throw new Rejection({ reason: "unknown-version", versionId });
  return toVersion(row);
}
