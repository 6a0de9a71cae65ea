/** What edges are told of a script: its version, the place that its trust gives it, the limits that hold. */
import type { CellRequest } from "../protocol/incident.ts";
import { effectiveLimits, type Limits, type LimitSettings } from "../protocol/limits.ts";
import type { Isolation, Place } from "../protocol/placement.ts";
import type { ScriptState } from "../protocol/routing.ts";
import type { Policy } from "./env.ts";
import type { Outcome } from "./failures.ts";
import { readOutbound } from "./outbound.ts";
import { failure, success } from "./result.ts";
import { derivePlace } from "./trust.ts";
import { toTrust, TRUST_COLUMNS, type TrustRow } from "./trust-store.ts";

const SELECT = `
  SELECT versions.id AS version_id, namespaces.name AS namespace, scripts.name AS script, json_extract(versions.settings, '$.limits') AS version_limits,
    scripts.limits AS script_limits, namespaces.limits AS namespace_limits,
    namespaces.isolation, namespaces.trusted_workers, namespaces.outbound, ${TRUST_COLUMNS}
  FROM versions
  JOIN trust ON trust.version_id = versions.id
  JOIN scripts ON scripts.id = versions.script_id
  JOIN namespaces ON namespaces.id = scripts.namespace_id`;

interface Row extends TrustRow {
  version_id: string;
  namespace: string;
  script: string;
  version_limits: string | null;
  script_limits: string;
  namespace_limits: string;
  isolation: string | null;
  trusted_workers: number;
  outbound: string | null;
}

/** By the names that edges use. */
export function scriptState(
  sql: SqlStorage,
  policy: Policy,
  generation: number,
  namespace: string,
  script: string,
): ScriptState {
  const [row] = sql
    .exec<Row>(
      `${SELECT} WHERE versions.id = scripts.version_id AND namespaces.name = ? AND scripts.name = ?`,
      namespace,
      script,
    )
    .toArray();
  const name = { generation, namespace, script };
  if (!row) return { ...name, versionId: null };
  const outbound = readOutbound(sql, row.outbound);
  return {
    ...name,
    versionId: row.version_id,
    place: placeOf(row, policy),
    limits: limitsOf(row, policy),
    trusted: row.trusted_workers !== 0,
    ...(outbound === null ? {} : { outbound }),
  };
}

/** What the dedicated cell of a version has to be like; a failure if the version does not get one. */
export function cellRequest(
  sql: SqlStorage,
  policy: Policy,
  versionId: string,
): Outcome<CellRequest> {
  const [row] = sql.exec<Row>(`${SELECT} WHERE versions.id = ?`, versionId).toArray();
  if (!row) return failure({ reason: "unknown-version", versionId });
  const { kind } = placeOf(row, policy);
  if (kind !== "dedicated") return failure({ reason: "not-dedicated", versionId, place: kind });
  const { memory_mb: memoryMb, cpu_ms: cpuMs } = limitsOf(row, policy);
  const { namespace, script, state } = row;
  const isMistrusted = state === "suspect" || state === "convicted";
  return success({ versionId, namespace, script, memoryMb, cpuMs, isMistrusted });
}

function placeOf(row: Row, policy: Policy): Place {
  return derivePlace(toTrust(row), (row.isolation as Isolation | null) ?? policy.isolation);
}

function limitsOf(row: Row, { limits }: Policy): Limits {
  const read = (text: string | null) => (text === null ? {} : (JSON.parse(text) as LimitSettings));
  return effectiveLimits(
    limits,
    read(row.version_limits),
    read(row.script_limits),
    read(row.namespace_limits),
  );
}
