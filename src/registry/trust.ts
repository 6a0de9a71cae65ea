/**
 * Trust, as a state machine on plain data: what a version has earned or lost by what became of its
 * invocations, and which place follows from it (src/protocol/placement.ts). trust-store.ts keeps it.
 *
 *   probation -- a run of clean invocations --> proven
 *   probation, proven -- may have harmed a process --> suspect -- a run of clean invocations --> proven
 *   any -- has harmed a process --> convicted, for good
 */
import type { Incident, IncidentKind } from "../protocol/incident.ts";
import type { Isolation, Place, Trust } from "../protocol/placement.ts";

export interface TrustRecord {
  readonly state: Trust;
  /** For people: how it came to this state. */
  readonly why: string;
  /** Unix milliseconds at which the state began; of a convicted version: its latest conviction. */
  readonly sinceMs: number;
  /** When it was a bystander of an incident, as far as that still counts. Unix milliseconds. */
  readonly strikes: readonly number[];
  /** Without an hour between one and the next. */
  readonly convictions: number;
  /** Unix milliseconds; 0: never was. */
  readonly refusedUntilMs: number;
}

/** How long a run of clean invocations has to be. */
export const PROVEN_AFTER = { invocations: 100, ms: 60_000 } as const;
const STRIKES = { toSuspect: 2, withinMs: 10 * 60_000 } as const;
const BACK_OFF = { firstMs: 1_000, longestMs: 5 * 60_000, forgottenAfterMs: 60 * 60_000 } as const;
/** Where it cannot be told who did it, so many versions are few enough to give each a cell of its own. */
const MAX_SUSPECTS = 8;

export type TrustEvent =
  /** `run`: clean invocations since the last one that was not, or since the state began. */
  | { readonly kind: "clean"; readonly atMs: number; readonly run: number }
  | { readonly kind: "convict"; readonly atMs: number; readonly why: string }
  | { readonly kind: "suspect"; readonly atMs: number; readonly why: string }
  /** `demote`: a proven version has to earn it anew. */
  | {
      readonly kind: "strike";
      readonly atMs: number;
      readonly why: string;
      readonly demote: boolean;
    };

export type Blame = Exclude<TrustEvent, { kind: "clean" }>;

export function newcomer(nowMs: number): TrustRecord {
  return {
    state: "probation",
    why: "new version",
    sinceMs: nowMs,
    strikes: [],
    convictions: 0,
    refusedUntilMs: 0,
  };
}

/** Returns `trust` itself if the event changes nothing. */
export function nextTrust(trust: TrustRecord, event: TrustEvent): TrustRecord {
  switch (event.kind) {
    case "clean":
      return rewarded(trust, event);
    case "convict":
      return convicted(trust, event);
    case "suspect":
      return suspected(trust, event);
    case "strike":
      return struck(trust, event);
  }
}

/** Clean invocations change nothing any more. */
export function isSettled({ state }: TrustRecord): boolean {
  return state === "proven" || state === "convicted";
}

function rewarded(trust: TrustRecord, { atMs, run }: Extract<TrustEvent, { kind: "clean" }>) {
  if (isSettled(trust)) return trust;
  if (run < PROVEN_AFTER.invocations || atMs - trust.sinceMs < PROVEN_AFTER.ms) return trust;
  const by = trust.state === "suspect" ? "returned after" : "proven by";
  const why = `${by} ${PROVEN_AFTER.invocations} clean invocations`;
  return { ...trust, state: "proven", why, sinceMs: atMs } as const;
}

function convicted(
  trust: TrustRecord,
  { atMs, why }: Extract<TrustEvent, { kind: "convict" }>,
): TrustRecord {
  const again = trust.state === "convicted" && atMs - trust.sinceMs < BACK_OFF.forgottenAfterMs;
  const convictions = again ? trust.convictions + 1 : 1;
  const backOffMs = Math.min(BACK_OFF.firstMs * 2 ** (convictions - 1), BACK_OFF.longestMs);
  const refusedUntilMs = atMs + backOffMs;
  return { state: "convicted", why, sinceMs: atMs, strikes: [], convictions, refusedUntilMs };
}

function suspected(
  trust: TrustRecord,
  { atMs, why }: Extract<TrustEvent, { kind: "suspect" }>,
): TrustRecord {
  if (trust.state === "convicted") return trust;
  return { ...trust, state: "suspect", why, sinceMs: atMs, strikes: [] };
}

function struck(
  trust: TrustRecord,
  { atMs, why, demote }: Extract<TrustEvent, { kind: "strike" }>,
): TrustRecord {
  if (trust.state === "convicted" || trust.state === "suspect") return trust;
  const strikes = [...trust.strikes.filter((at) => atMs - at < STRIKES.withinMs), atMs];
  if (strikes.length >= STRIKES.toSuspect) {
    const minutes = STRIKES.withinMs / 60_000;
    return suspected(trust, {
      kind: "suspect",
      atMs,
      why: `${strikes.length} strikes in ${minutes} minutes, last ${why}`,
    });
  }
  if (!demote) return { ...trust, strikes };
  return { ...trust, state: "probation", why, sinceMs: atMs, strikes };
}

/**
 * Who is held responsible for an incident, and how. `dedicated`: the process was the dedicated cell of one
 * version. Only what happens there convicts: whoever harmed a process for the first time may have had a bad
 * moment. Nobody is responsible for the trial cell, where nothing is released yet, nor for a dedicated cell
 * that was replaced in peace, since workerd's own memory grows with requests too.
 */
export function blames(incident: Incident, dedicated: boolean): ReadonlyMap<string, Blame> {
  const { atMs, process, named, killed } = incident;
  if (process === "trial" || (dedicated && !killed)) return new Map();
  const involved = new Set(named === null ? incident.involved : [named, ...incident.involved]);
  const sole = named ?? (involved.size === 1 ? [...involved][0] : undefined);
  const time = `${new Date(atMs).toISOString().slice(11, 19)}Z`;
  const where = `${process} ${incident.index}`;
  const culprit = `${DID[incident.kind]} ${where} at ${time}`;
  const bystander = `under way when ${where} ${BEFELL[incident.kind]} at ${time}`;
  const blame = (versionId: string): Blame => {
    if (dedicated) return { kind: "convict", atMs, why: culprit };
    if (versionId === sole) return { kind: "suspect", atMs, why: culprit };
    if (sole === undefined && involved.size <= MAX_SUSPECTS) {
      return { kind: "suspect", atMs, why: bystander };
    }
    return { kind: "strike", atMs, why: bystander, demote: process === "edge" };
  };
  return new Map([...involved].map((versionId) => [versionId, blame(versionId)]));
}

const DID = {
  cpu: "stalled",
  memory: "filled the memory of",
  crash: "crashed",
} as const satisfies Record<IncidentKind, string>;
const BEFELL = {
  cpu: "was stalled",
  memory: "ran out of memory",
  crash: "crashed",
} as const satisfies Record<IncidentKind, string>;

/** Where a version's invocations run, given its namespace's isolation or else the platform's. */
export function derivePlace(trust: TrustRecord, isolation: Isolation): Place {
  const { state, why, refusedUntilMs } = trust;
  if (state === "suspect" || state === "convicted") {
    return { kind: "dedicated", why, refusedUntilMs };
  }
  if (isolation === "dedicated") {
    return { kind: "dedicated", why: "isolation = dedicated", refusedUntilMs };
  }
  if (state === "proven") return { kind: "edge", why, refusedUntilMs };
  // With a strike it was there when a process fell: whoever it was must not bring the next edge down.
  if (isolation === "trusted" && trust.strikes.length === 0)
    return { kind: "edge", why: "isolation = trusted", refusedUntilMs };
  return { kind: "probation", why, refusedUntilMs };
}
