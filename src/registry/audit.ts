/**
 * The audit log: who changed what through the API. `before` and `after` hold the facts (snapshot.ts) in which the
 * two differ, with `***` for secrets.
 */
const KEPT_ENTRIES = 10_000;

export type AuditFacts = Readonly<Record<string, unknown>>;

export interface NewAuditEntry {
  readonly accountId: string;
  readonly actor: { readonly id: string; readonly name: string };
  /** Of the client; empty if it is not known. */
  readonly address: string;
  /** Such as `script.deploy`. */
  readonly action: string;
  /** Such as `production/hello`. */
  readonly target: string;
  /** null: it was not there before, or is not there any more. */
  readonly before: AuditFacts | null;
  readonly after: AuditFacts | null;
}

export interface AuditEntry extends NewAuditEntry {
  readonly id: number;
  readonly at: number;
}

export interface AuditQuery {
  readonly sinceMs: number;
  readonly untilMs: number;
  /** null: all. Else this target and all beneath it. */
  readonly target: string | null;
  /** How many of the newest to leave out, and how many to take then. */
  readonly offset: number;
  readonly limit: number;
}

export interface AuditPage {
  readonly entries: readonly AuditEntry[];
  /** Of all pages. */
  readonly total: number;
}

export function recordAudit(sql: SqlStorage, entry: NewAuditEntry, now: number): void {
  sql.exec(
    `INSERT INTO audit (at, account_id, actor, address, action, target, before, after)
     VALUES (?, ?, ?, ?, ?, ?, ?, ?)`,
    now,
    entry.accountId,
    JSON.stringify(entry.actor),
    entry.address,
    entry.action,
    entry.target,
    entry.before && JSON.stringify(entry.before),
    entry.after && JSON.stringify(entry.after),
  );
  // By the primary key, so that nothing is looked through.
  sql.exec(`DELETE FROM audit WHERE id <= last_insert_rowid() - ?`, KEPT_ENTRIES);
}

/** Newest first. */
export function listAudit(
  sql: SqlStorage,
  accountId: string,
  { sinceMs, untilMs, target, offset, limit }: AuditQuery,
): AuditPage {
  const wanted = `FROM audit WHERE account_id = ?1 AND at BETWEEN ?2 AND ?3
    AND (?4 IS NULL OR target = ?4 OR substr(target, 1, length(?4) + 1) = ?4 || '/')`;
  const values = [accountId, sinceMs, untilMs, target];
  const { total } = sql
    .exec<{ total: number }>(`SELECT COUNT(*) AS total ${wanted}`, ...values)
    .one();
  const entries = sql
    .exec<AuditRow>(
      `SELECT * ${wanted} ORDER BY id DESC LIMIT ?5 OFFSET ?6`,
      ...values,
      limit,
      offset,
    )
    .toArray()
    .map((row) => ({
      id: row.id,
      at: row.at,
      accountId: row.account_id,
      actor: JSON.parse(row.actor) as AuditEntry["actor"],
      address: row.address,
      action: row.action,
      target: row.target,
      before: row.before === null ? null : (JSON.parse(row.before) as AuditFacts),
      after: row.after === null ? null : (JSON.parse(row.after) as AuditFacts),
    }));
  return { entries, total };
}

type AuditRow = {
  id: number;
  at: number;
  account_id: string;
  actor: string;
  address: string;
  action: string;
  target: string;
  before: string | null;
  after: string | null;
};
