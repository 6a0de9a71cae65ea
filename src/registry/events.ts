/**
 * The log of what befell processes and what became of trust, for people. Functions that write are called in a
 * transaction.
 */
import type { Incident } from "../protocol/incident.ts";

/** Older events go. */
const KEPT_EVENTS = 10_000;
/** Lives of processes are numbered anew by each supervisor; a report is repeated within seconds. */
const REPEATED_WITHIN_MS = 10 * 60_000;

export const EVENT_KINDS = [
  // Of a process.
  "killed",
  "replaced",
  "ended",
  // Of a version.
  "strike",
  "suspect",
  "convicted",
  "refused",
  "promoted",
  "returned",
  "demoted",
  // Of a rollout.
  "rollout",
] as const;
export type EventKind = (typeof EVENT_KINDS)[number];

/** Operators should see these without looking for them. */
const WARNED: ReadonlySet<EventKind> = new Set([
  "killed",
  "replaced",
  "ended",
  "suspect",
  "convicted",
]);

export interface NewEvent {
  /** Unix milliseconds. */
  readonly at: number;
  readonly kind: EventKind;
  /** null: it concerns no particular function. */
  readonly function: {
    readonly namespaceId: string;
    readonly namespace: string;
    readonly script: string;
    readonly versionId: string;
  } | null;
  /** Such as `cell 1`. */
  readonly process: string | null;
  readonly detail: string;
  /** Set in the first event of an incident: what makes a repeated report count once. */
  readonly incident?: string;
}

export interface EventRecord {
  readonly id: number;
  readonly at: number;
  readonly kind: EventKind;
  readonly script: string | null;
  readonly versionId: string | null;
  readonly process: string | null;
  readonly detail: string;
}

export function incidentKey({ process, index, life, kind }: Incident): string {
  return `${process}/${index}/${life}/${kind}`;
}

export function isReported(sql: SqlStorage, incident: Incident): boolean {
  const found = sql.exec(
    `SELECT 1 FROM events WHERE incident = ? AND at BETWEEN ? AND ?`,
    incidentKey(incident),
    incident.atMs - REPEATED_WITHIN_MS,
    incident.atMs + REPEATED_WITHIN_MS,
  );
  return found.toArray().length > 0;
}

export function recordEvent(sql: SqlStorage, event: NewEvent): void {
  const { function: of, kind, process, detail } = event;
  sql.exec(
    `INSERT INTO events (at, kind, namespace_id, script, version_id, process, detail, incident)
     VALUES (?, ?, ?, ?, ?, ?, ?, ?)`,
    event.at,
    kind,
    of?.namespaceId ?? null,
    of?.script ?? null,
    of?.versionId ?? null,
    process,
    detail,
    event.incident ?? null,
  );
  // By the primary key, so that nothing is looked through.
  sql.exec(`DELETE FROM events WHERE id <= last_insert_rowid() - ?`, KEPT_EVENTS);
  if (!WARNED.has(kind)) return;
  const who = of === null ? process : `${of.namespace}/${of.script} (${of.versionId})`;
  console.warn(`${kind}: ${who}: ${detail}`);
}

export interface EventQuery {
  /** null: of all scripts, and what concerns no particular function. */
  readonly script: string | null;
  readonly sinceMs: number;
  readonly limit: number;
}

/** Newest first. */
export function listEvents(
  sql: SqlStorage,
  namespaceId: string,
  { script, sinceMs, limit }: EventQuery,
): EventRecord[] {
  const whose =
    script === null ? `(namespace_id = ?1 OR namespace_id IS NULL)` : `namespace_id = ?1`;
  return sql
    .exec<EventRow>(
      `SELECT id, at, kind, script, version_id AS versionId, process, detail FROM events
       WHERE ${whose} AND (?2 IS NULL OR script = ?2) AND at >= ?3 ORDER BY id DESC LIMIT ?4`,
      namespaceId,
      script,
      sinceMs,
      limit,
    )
    .toArray();
}

type EventRow = { [Key in keyof EventRecord]: EventRecord[Key] };
