/**
 * Names under which single versions of a script are called, deployed or not: `<first 8 of the version's id>-<script>`
 * and `<alias>-<script>`. They are no scripts. A script that is called so comes first.
 *
 * Those that edges have asked for are kept, so that a change of the script is told under these names, too.
 */
import type { Change } from "./generation.ts";

export interface Preview {
  readonly versionId: string;
  readonly script: string;
  /** False: the script has none now. */
  readonly isOn: boolean;
}

/** Of longer names nobody is asked: they are in host names (RFC 1035 section 2.3.4), where 63 characters fit. */
const MAX_NAME_LENGTH = 200;

interface Row extends Record<string, SqlStorageValue> {
  version_id: string;
  previews: number;
}

/** null: no version has this name. */
export function findPreview(sql: SqlStorage, namespace: string, name: string): Preview | null {
  if (name.length > MAX_NAME_LENGTH) return null;
  // Where both have hyphens, the longest name of a script counts.
  for (let hyphen = name.indexOf("-"); hyphen > 0; hyphen = name.indexOf("-", hyphen + 1)) {
    const [prefix, script] = [name.slice(0, hyphen), name.slice(hyphen + 1)];
    const [row] = sql
      .exec<Row>(
        `SELECT versions.id AS version_id, scripts.previews FROM scripts
         JOIN namespaces ON namespaces.id = scripts.namespace_id
         JOIN versions ON versions.script_id = scripts.id
         WHERE namespaces.name = ?1 AND scripts.name = ?2
           AND (SUBSTR(versions.id, 1, 8) = ?3 OR versions.annotations ->> '$."workers/alias"' = ?3)
         ORDER BY SUBSTR(versions.id, 1, 8) = ?3 DESC, versions.number DESC LIMIT 1`,
        namespace,
        script,
        prefix,
      )
      .toArray();
    if (row) return { versionId: row.version_id, script, isOn: row.previews !== 0 };
  }
  return null;
}

/** An edge asks for this name, which may be a preview's. */
export function rememberPreview(sql: SqlStorage, namespace: string, name: string): void {
  const [script] = sql
    .exec(
      `SELECT 1 FROM scripts JOIN namespaces ON namespaces.id = scripts.namespace_id
       WHERE namespaces.name = ? AND scripts.name = ?`,
      namespace,
      name,
    )
    .toArray();
  const preview = script ? null : findPreview(sql, namespace, name);
  if (preview === null) return;
  sql.exec(
    `INSERT OR REPLACE INTO previews (namespace, name, script) VALUES (?, ?, ?)`,
    namespace,
    name,
    preview.script,
  );
}

/** Edges are told that this name leads nowhere. One whose script has no previews now may lead somewhere again. */
export function forgetPreview(sql: SqlStorage, namespace: string, name: string): void {
  if (findPreview(sql, namespace, name) !== null) return;
  sql.exec(`DELETE FROM previews WHERE namespace = ? AND name = ?`, namespace, name);
}

/** Whether edges may know any of a script. */
export function hasPreviews(
  sql: SqlStorage,
  { namespace, script }: { readonly namespace: string; readonly script: string },
): boolean {
  const [row] = sql
    .exec(`SELECT 1 FROM previews WHERE namespace = ? AND script = ? LIMIT 1`, namespace, script)
    .toArray();
  return row !== undefined;
}

/** For a new version: its alias led to another one until now, or nowhere. */
export function touchAlias(
  change: Change,
  namespace: string,
  version: { readonly script: string; readonly annotations: Readonly<Record<string, string>> },
): void {
  const alias = version.annotations["workers/alias"];
  if (alias !== undefined) change.script(namespace, `${alias}-${version.script}`);
}
