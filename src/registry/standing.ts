/**
 * What incidents and clean invocations do to the trust of versions: stores the outcome, logs it, and names
 * the scripts whose place changed, so that the edges are told. Called in a transaction.
 */
import type { Incident } from "../protocol/incident.ts";
import type { Isolation, Place } from "../protocol/placement.ts";
import type { CleanRun } from "./clean-runs.ts";
import type { Policy } from "./env.ts";
import { incidentKey, isReported, recordEvent, type EventKind } from "./events.ts";
import { beginChange } from "./generation.ts";
import { hasPreviews } from "./previews.ts";
import { blames, derivePlace, nextTrust, type TrustEvent, type TrustRecord } from "./trust.ts";
import { countTrustChange, findTrust, storeTrust, type TrustedVersion } from "./trust-store.ts";

/** Versions whose trust changed, and the generation that edges have to learn of; 0: none. */
export interface StandingChange {
  readonly generation: number;
  readonly changed: readonly string[];
}

export function applyIncident(sql: SqlStorage, policy: Policy, incident: Incident): StandingChange {
  // What ran in the trial cell is not released; whoever uploaded it is told.
  if (incident.process === "trial" || isReported(sql, incident)) return NOTHING;
  const dedicated = incident.process === "cell" && incident.index >= policy.cells.probation;
  const process = `${incident.process} ${incident.index}`;
  const culprit = incident.named === null ? null : findTrust(sql, incident.named);
  recordEvent(sql, {
    at: incident.atMs,
    kind: incident.kind === "crash" ? "ended" : incident.killed ? "killed" : "replaced",
    function: culprit,
    process,
    detail: `${incident.kind}: ${process}, ${incident.detail}`,
    incident: incidentKey(incident),
  });
  return applyAll(sql, policy, blames(incident, dedicated), process);
}

/** Promotes the versions that have earned it. */
export function applyConduct(
  sql: SqlStorage,
  policy: Policy,
  earned: readonly CleanRun[],
  nowMs: number,
): StandingChange {
  const events = earned.map(
    ({ versionId, run }) => [versionId, { kind: "clean", atMs: nowMs, run }] as const,
  );
  return applyAll(sql, policy, new Map<string, TrustEvent>(events), null);
}

const NOTHING: StandingChange = { generation: 0, changed: [] };

function applyAll(
  sql: SqlStorage,
  policy: Policy,
  events: ReadonlyMap<string, TrustEvent>,
  process: string | null,
): StandingChange {
  const moved: TrustedVersion[] = [];
  const changed: string[] = [];
  for (const [versionId, event] of events) {
    const version = findTrust(sql, versionId);
    const next = version && nextTrust(version.trust, event);
    if (!next || next === version.trust) continue;
    storeTrust(sql, versionId, next);
    record(sql, version, next, event, process);
    changed.push(versionId);
    const isolation = isolationOf(version, policy);
    const before = derivePlace(version.trust, isolation);
    const isCalled = version.active || hasPreviews(sql, version);
    if (isCalled && !samePlace(before, derivePlace(next, isolation))) moved.push(version);
  }
  if (moved.length === 0) return { generation: 0, changed };
  const change = beginChange(sql);
  for (const { namespace, script } of moved) change.script(namespace, script);
  return { generation: change.generation, changed };
}

function record(
  sql: SqlStorage,
  version: TrustedVersion,
  next: TrustRecord,
  event: TrustEvent,
  process: string | null,
): void {
  const { atMs: at } = event;
  const add = (kind: EventKind, detail: string) =>
    recordEvent(sql, { at, kind, function: version, process, detail });
  if (next.state !== version.trust.state) countTrustChange(sql, next.state);
  // A strike that leaves the state as it is leaves its reason, too.
  const kind = eventKind(version.trust, next);
  add(kind, kind === "strike" && event.kind === "strike" ? event.why : next.why);
  if (next.refusedUntilMs > at) {
    const until = new Date(next.refusedUntilMs).toISOString();
    add("refused", `until ${until}, conviction ${next.convictions} in a row`);
  }
}

function eventKind(before: TrustRecord, { state }: TrustRecord): EventKind {
  switch (state) {
    case "proven":
      if (before.state === "proven") return "strike";
      return before.state === "suspect" ? "returned" : "promoted";
    case "probation":
      return before.state === "proven" ? "demoted" : "strike";
    case "suspect":
    case "convicted":
      return state;
  }
}

function isolationOf({ isolation }: TrustedVersion, policy: Policy): Isolation {
  return isolation ?? policy.isolation;
}

function samePlace(a: Place, b: Place): boolean {
  return a.kind === b.kind && a.why === b.why && a.refusedUntilMs === b.refusedUntilMs;
}
