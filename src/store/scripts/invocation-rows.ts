/** Asynchronous invocations as rows: tables, and how they are read. */
import type {
  Destination,
  DestinationRecord,
  InvocationDetail,
  InvocationRecord,
  ObjectReference,
} from "../../protocol/invocations.ts";

/**
 * `payload` and `r2` are given up when nothing needs them any more. `next_ms` is when the function, or after it the
 * destination, is tried next. `life`: the process that began what is under way.
 */
export const TABLES = `
  CREATE TABLE IF NOT EXISTS config (id INTEGER PRIMARY KEY CHECK (id = 1), json TEXT NOT NULL, is_gone INTEGER NOT NULL) STRICT;
  CREATE TABLE IF NOT EXISTS invocations (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    type TEXT NOT NULL,
    idempotency_key TEXT UNIQUE,
    content_type TEXT,
    payload BLOB,
    r2 TEXT,
    payload_bytes INTEGER,
    state TEXT NOT NULL,
    attempts INTEGER NOT NULL DEFAULT 0,
    waits INTEGER NOT NULL DEFAULT 0,
    next_ms INTEGER,
    life TEXT,
    began_ms INTEGER,
    created_ms INTEGER NOT NULL,
    ended_ms INTEGER,
    outcome TEXT,
    error TEXT,
    response TEXT,
    destination TEXT,
    destination_state TEXT,
    destination_attempts INTEGER NOT NULL DEFAULT 0,
    destination_error TEXT
  ) STRICT;
  CREATE INDEX IF NOT EXISTS invocations_by_time ON invocations (next_ms) WHERE next_ms IS NOT NULL;
  CREATE INDEX IF NOT EXISTS invocations_under_way ON invocations (began_ms) WHERE life IS NOT NULL;
  CREATE INDEX IF NOT EXISTS invocations_by_state ON invocations (state, seq);`;

export interface InvocationRow extends Record<string, SqlStorageValue> {
  seq: number;
  id: string;
  type: string;
  idempotency_key: string | null;
  content_type: string | null;
  payload: ArrayBuffer | null;
  r2: string | null;
  payload_bytes: number | null;
  state: string;
  attempts: number;
  waits: number;
  next_ms: number | null;
  life: string | null;
  began_ms: number | null;
  created_ms: number;
  ended_ms: number | null;
  outcome: string | null;
  error: string | null;
  response: string | null;
  destination: string | null;
  destination_state: string | null;
  destination_attempts: number;
  destination_error: string | null;
}

/** All but what may be large. */
const RECORD_FIELDS = [
  "id",
  "type",
  "idempotency_key",
  "payload_bytes",
  "state",
  "attempts",
  "next_ms",
  "created_ms",
  "ended_ms",
  "outcome",
  "error",
  "destination",
  "destination_state",
  "destination_attempts",
  "destination_error",
] as const;

export const RECORD_COLUMNS = RECORD_FIELDS.join(", ");

export type RecordRow = Pick<InvocationRow, (typeof RECORD_FIELDS)[number]>;

export function toRecord(row: RecordRow): InvocationRecord {
  return {
    id: row.id,
    type: row.type as InvocationRecord["type"],
    state: row.state as InvocationRecord["state"],
    idempotencyKey: row.idempotency_key,
    createdMs: row.created_ms,
    endedMs: row.ended_ms,
    payloadBytes: row.payload_bytes,
    attempts: row.attempts,
    nextMs: row.state === "waiting" ? row.next_ms : null,
    outcome: row.outcome,
    error: row.error,
    destination: toDestination(row),
  };
}

export function toDetail(row: InvocationRow): InvocationDetail {
  const response = row.response && (JSON.parse(row.response) as InvocationDetail["response"]);
  return { ...toRecord(row), response: response || null };
}

function toDestination(row: RecordRow): DestinationRecord | null {
  if (row.destination === null) return null;
  return {
    to: JSON.parse(row.destination) as Destination,
    state: row.destination_state as DestinationRecord["state"],
    attempts: row.destination_attempts,
    error: row.destination_error,
  };
}

export function r2Of({ r2 }: InvocationRow): ObjectReference | null {
  return r2 === null ? null : (JSON.parse(r2) as ObjectReference);
}

/** What a destination is told, in the API's words. A queue takes messages of this size at most, with some room. */
const MAX_TOLD_CHARACTERS = 120_000;

export function told(
  row: InvocationRow,
  { namespace, name }: { readonly namespace: string; readonly name: string },
): string {
  const { response } = toDetail(row);
  const about = {
    invocation_id: row.id,
    namespace,
    script: name,
    status: row.state,
    attempts: row.attempts,
    created_on: new Date(row.created_ms).toISOString(),
    ended_on: new Date(row.ended_ms ?? row.created_ms).toISOString(),
    outcome: row.outcome,
    error: row.error,
  };
  const request = {
    content_type: row.content_type,
    r2: r2Of(row),
    payload: row.payload === null ? null : new Uint8Array(row.payload).toBase64(),
  };
  const whole = JSON.stringify({ ...about, request, response });
  if (whole.length <= MAX_TOLD_CHARACTERS) return whole;
  const { body: _, ...head } = response ?? { body: "" };
  const withoutBodies = {
    ...about,
    request: { ...request, payload: null },
    response: response && { ...head, body: null },
    is_truncated: true,
  };
  return JSON.stringify(withoutBodies);
}
