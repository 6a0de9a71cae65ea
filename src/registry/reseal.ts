/**
 * Sealing stored secrets anew under another key. The keys themselves are not known here: the hub opens and seals, and
 * this swaps what is stored if it is still what was opened. Functions that write are called in a transaction.
 */
import { Rejection } from "./failures.ts";
import type { StoredBinding } from "./records.ts";
import { keyIdOf } from "./seal.ts";

/** Versions at a time, so that the object goes on answering others. */
const BATCH = 50;
const RETIRED = "retired-key:";

export interface SealedVersion {
  readonly id: string;
  readonly namespaceId: string;
  readonly script: string;
  /** What is sealed under other keys. */
  readonly secrets: readonly string[];
}

export interface ResealedVersion {
  readonly id: string;
  /** From the old sealed form to the new one. */
  readonly secrets: Readonly<Record<string, string>>;
}

/** The next versions, by id, that have a secret which is not under the key `keyId`. */
export function listSealedOtherwise(
  sql: SqlStorage,
  keyId: string,
  after: string,
): SealedVersion[] {
  const found: SealedVersion[] = [];
  for (const { id, namespaceId, script, bindings } of sealedVersions(sql, after)) {
    const secrets = sealedIn(bindings).filter((sealed) => keyIdOf(sealed) !== keyId);
    if (secrets.length > 0) found.push({ id, namespaceId, script, secrets });
    if (found.length === BATCH) break;
  }
  return found;
}

export function applyResealed(sql: SqlStorage, changes: readonly ResealedVersion[]): void {
  for (const { id, secrets } of changes) {
    const [row] = sql
      .exec<{ bindings: string }>(`SELECT bindings FROM versions WHERE id = ?`, id)
      .toArray();
    if (!row) continue; // It was removed meanwhile.
    const bindings = (JSON.parse(row.bindings) as StoredBinding[]).map((binding) =>
      binding.type === "secret_text"
        ? { ...binding, sealed: secrets[binding.sealed] ?? binding.sealed }
        : binding,
    );
    sql.exec(`UPDATE versions SET bindings = ? WHERE id = ?`, JSON.stringify(bindings), id);
  }
}

/**
 * False as long as something is sealed otherwise. Afterwards nothing sealed under the `others`, or without saying
 * under which key, is taken any more.
 */
export function retireAllKeysBut(
  sql: SqlStorage,
  keyId: string,
  others: readonly string[],
): boolean {
  if (neededKeys(sql).some((needed) => needed !== keyId)) return false;
  sql.exec(`DELETE FROM meta WHERE key = ?`, RETIRED + keyId);
  for (const other of ["", ...others]) {
    sql.exec(`INSERT OR REPLACE INTO meta (key, value) VALUES (?, 1)`, RETIRED + other);
  }
  return true;
}

export function neededKeys(sql: SqlStorage): (string | null)[] {
  const ids = new Set<string | null>();
  for (const { bindings } of sealedVersions(sql, "")) {
    for (const sealed of sealedIn(bindings)) ids.add(keyIdOf(sealed));
  }
  return [...ids];
}

/** A change that sealed its secrets before their key was retired, and comes to be stored only now. */
export function refuseRetiredKeys(
  sql: SqlStorage,
  script: string,
  bindings: readonly StoredBinding[],
): void {
  const ids = new Set(
    bindings.flatMap((binding) =>
      binding.type === "secret_text" ? [keyIdOf(binding.sealed)] : [],
    ),
  );
  for (const id of ids) {
    const retired = sql.exec(`SELECT 1 FROM meta WHERE key = ?`, `${RETIRED}${id ?? ""}`).toArray();
    if (retired.length > 0) throw new Rejection({ reason: "changed-meanwhile", script });
  }
}

type SealedRow = { id: string; namespaceId: string; script: string; bindings: string };

function sealedVersions(sql: SqlStorage, after: string) {
  return sql.exec<SealedRow>(
    `SELECT versions.id, scripts.namespace_id AS namespaceId, scripts.name AS script, bindings
     FROM versions JOIN scripts ON scripts.id = versions.script_id
     WHERE versions.id > ? AND bindings LIKE '%"sealed":"%' ORDER BY versions.id`,
    after,
  );
}

function sealedIn(bindings: string): string[] {
  return (JSON.parse(bindings) as StoredBinding[]).flatMap((binding) =>
    binding.type === "secret_text" ? [binding.sealed] : [],
  );
}
