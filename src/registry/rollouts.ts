/**
 * Rollouts: a new version gets the traffic of a script in steps, and loses it again if it breaks a rule. Functions
 * here change what is stored and return the generation of the change; they are called in a transaction.
 */
import type { Isolation } from "../protocol/placement.ts";
import { applyDeployment } from "./deployments.ts";
import { Rejection } from "./failures.ts";
import type { ScriptRecord } from "./records.ts";
import type { RolloutLook } from "./rollout-decision.ts";
import {
  findRollout,
  insertRollout,
  ROLLOUT_SOURCE,
  storeDecision,
  storeLook,
  storeStep,
  type RolloutDecision,
  type RolloutPlan,
  type RolloutRecord,
} from "./rollout-store.ts";
import { requireScript } from "./scripts.ts";
import { findTrust } from "./trust-store.ts";
import { requireVersion } from "./versions.ts";

/** How often a rollout is looked at: often enough that a broken version is gone within seconds. */
const LOOK_EVERY_MS = 2_000;

/** The version that has all traffic now is the baseline. */
export type RolloutRequest = Omit<RolloutPlan, "baseline">;

/** `platform`: the isolation of namespaces that have none of their own. */
export function startRollout(
  sql: SqlStorage,
  script: ScriptRecord,
  platform: Isolation,
  request: RolloutRequest,
  now: number,
): number {
  const { candidate, rules } = request;
  requireVersion(sql, script.namespaceId, script.name, candidate);
  const running = findRollout(sql, script.id);
  if (running?.state === "running") {
    const { plan } = running;
    throw new Rejection({
      reason: "rollout-running",
      script: script.name,
      candidate: plan.candidate,
    });
  }
  const bad = (detail: string) => new Rejection({ reason: "bad-rollout", detail });
  const inForce = script.deployment.shares.filter(({ percentage }) => percentage > 0);
  const [{ versionId: baseline } = { versionId: "" }, ...others] = inForce;
  if (others.length > 0) {
    throw bad(
      `${inForce.length} versions share the traffic now: give all of it to one of them first`,
    );
  }
  if (baseline === candidate) throw bad(`the version ${candidate} has all traffic already`);
  const isolation = findTrust(sql, candidate)?.isolation ?? platform;
  if (isolation === "dedicated" && rules.some(({ metric }) => metric === "cost")) {
    throw bad(
      "what functions in cells of their own cost is not measured, and here all have one: leave the rule about cost out",
    );
  }
  const id = crypto.randomUUID();
  const plan: RolloutPlan = { ...request, baseline };
  insertRollout(sql, { scriptId: script.id, id, plan, startedOn: now }, now + LOOK_EVERY_MS);
  const rollout = requireRollout(sql, script);
  return move(sql, rollout, "started", startedAs(plan), null, now);
}

export function requireRollout(sql: SqlStorage, script: ScriptRecord): RolloutRecord {
  const found = findRollout(sql, script.id);
  if (!found) throw new Rejection({ reason: "no-rollout", script: script.name, latest: null });
  return found;
}

/** Ends a rollout by hand, for one version or the other. `why`: who wanted it. */
export function endRollout(
  sql: SqlStorage,
  script: ScriptRecord,
  action: "promoted" | "aborted",
  why: string,
  now: number,
): number {
  const rollout = requireRollout(sql, script);
  if (rollout.state !== "running") {
    throw new Rejection({ reason: "no-rollout", script: script.name, latest: rollout.state });
  }
  return move(sql, rollout, action, why, null, now);
}

/**
 * Does what a look asks for, unless the rollout has changed since it was read: 0 then. Of a look that failed
 * (null) only the next one is due.
 */
export function applyLook(
  sql: SqlStorage,
  seen: RolloutRecord,
  look: RolloutLook | null,
  now: number,
): number {
  const rollout = findRollout(sql, seen.scriptId);
  if (rollout?.id !== seen.id || rollout.state !== "running" || rollout.step !== seen.step)
    return 0;
  storeLook(sql, rollout, look, now, now + LOOK_EVERY_MS);
  if (look === null || look.verdict === "wait") return 0;
  if (look.verdict === "roll-back") return move(sql, rollout, "rolled-back", look.why, look, now);
  const isLast = rollout.step === rollout.plan.steps.length - 1;
  if (isLast) return move(sql, rollout, "promoted", look.why, look, now);
  storeStep(sql, rollout, rollout.step + 1, now);
  return move(sql, rollout, "advanced", look.why, look, now);
}

type Move = Exclude<RolloutDecision["action"], "superseded">;

/** Brings the shares that follow from a decision into force, and stores it. */
function move(
  sql: SqlStorage,
  rollout: RolloutRecord,
  action: Move,
  why: string,
  look: RolloutLook | null,
  now: number,
): number {
  const { plan, namespaceId } = rollout;
  const percentage = percentageAfter(action, rollout);
  const shares = [
    { versionId: plan.baseline, percentage: 100 - percentage },
    { versionId: plan.candidate, percentage },
  ].filter((share) => share.percentage > 0);
  const script = requireScript(sql, namespaceId, rollout.script);
  const message = `rollout ${action}: ${percentage} % of ${plan.candidate.slice(0, 8)}`;
  const generation = applyDeployment(
    sql,
    script,
    {
      shares,
      annotations: { "workers/message": message },
      author: plan.author,
      source: ROLLOUT_SOURCE,
    },
    now,
  );
  storeDecision(sql, rollout, { at: now, action, percentage, why, look });
  return generation;
}

/** Of the candidate. `rollout` is as it was before. */
function percentageAfter(action: Move, { plan, step }: RolloutRecord): number {
  switch (action) {
    case "started":
      return plan.steps[0] ?? 0;
    case "advanced":
      return plan.steps[step + 1] ?? 0;
    case "promoted":
      return 100;
    case "rolled-back":
    case "aborted":
      return 0;
  }
}

function startedAs({ steps, intervalMs, minRequests, rules }: RolloutPlan): string {
  const texts = rules.map(({ text }) => text).join(",");
  return `${[...steps, 100].join(" -> ")} %, each for ${intervalMs / 1000} s and ${minRequests} requests at least, back on ${texts || "nothing"}`;
}
