/**
 * `…/scripts/{script}/rollout`: a version that was uploaded gets the traffic in steps, and loses it again by
 * itself if it breaks a rule. Ours, not Cloudflare's: there, whoever deploys moves the shares.
 */
import * as z from "zod";
import type { RolloutDecision, RolloutRecord } from "../registry/rollout-store.ts";
import { parseRules } from "../registry/rollout-rules.ts";
import { namespaceOf, param, registry, settle, type ApiContext } from "./context.ts";
import { ok } from "./envelope.ts";
import { ApiError } from "./errors.ts";
import { unwrap } from "./failures.ts";
import { jsonBody } from "./json-body.ts";
import { iso } from "./user.ts";

const MAX_STEPS = 20;
const DAY_SECONDS = 24 * 60 * 60;

export const body = z.strictObject({
  version_id: z.string(),
  /** Percentages that the version gets; 100 is the last one whether it is said or not. */
  steps: z.array(z.number().positive().max(100)).min(1).max(MAX_STEPS).default([10, 25, 50, 100]),
  /** Of each step, at least. */
  interval_seconds: z.number().min(1).max(DAY_SECONDS).default(60),
  /** Of the version, in each step, before it gets more. */
  min_requests: z.int().min(1).max(1_000_000).default(100),
  /** Rules (src/registry/rollout-rules.ts); empty: none. */
  abort_on: z.string().default("error_rate>1%,p99>+50%"),
});

export async function startRollout(c: ApiContext): Promise<Response> {
  const given = await jsonBody(c, body);
  const started = await registry(c).startRollout((await namespaceOf(c)).id, param(c, "script"), {
    candidate: given.version_id,
    steps: readSteps(given.steps),
    intervalMs: given.interval_seconds * 1000,
    minRequests: given.min_requests,
    rules: readRules(given.abort_on),
    author: c.var.token.id,
  });
  return done(c, started);
}

export async function getRollout(c: ApiContext): Promise<Response> {
  const { id } = await namespaceOf(c);
  return ok(c, toJson(unwrap(await registry(c).rollout(id, param(c, "script")))));
}

/** All traffic goes back to the old version. */
export async function abortRollout(c: ApiContext): Promise<Response> {
  return end(c, "aborted");
}

/** All traffic goes to the new version, whatever the rules say. */
export async function promoteRollout(c: ApiContext): Promise<Response> {
  return end(c, "promoted");
}

async function end(c: ApiContext, action: "promoted" | "aborted"): Promise<Response> {
  const { id } = await namespaceOf(c);
  const why = `by hand (token ${c.var.token.id})`;
  return done(c, await registry(c).endRollout(id, param(c, "script"), action, why));
}

async function done(
  c: ApiContext,
  outcome: Awaited<ReturnType<ReturnType<typeof registry>["startRollout"]>>,
): Promise<Response> {
  const { generation, value } = unwrap(outcome);
  await settle(c, generation);
  return ok(c, toJson(value));
}

function readSteps(steps: readonly number[]): number[] {
  for (const [index, step] of steps.entries()) {
    const before = steps[index - 1];
    if (before === undefined || step > before) continue;
    throw new ApiError(
      "badRollout",
      `steps: ${step} follows ${before}, expected more with each step`,
    );
  }
  const below = steps.filter((step) => step < 100);
  if (below.length > 0) return below;
  throw new ApiError(
    "badRollout",
    "steps: the only one is 100, so that there is nothing to watch; deploy the version instead",
  );
}

function readRules(text: string) {
  if (text.trim() === "") return [];
  const rules = parseRules(text);
  if (rules.ok) return rules.value;
  throw new ApiError("badRollout", `abort_on: ${rules.failure}`);
}

function toJson(rollout: RolloutRecord) {
  const { plan, state, step, look } = rollout;
  const isRunning = state === "running";
  return {
    id: rollout.id,
    state,
    version_id: plan.candidate,
    previous_version_id: plan.baseline,
    percentage: isRunning ? plan.steps[step] : (rollout.decisions.at(-1)?.percentage ?? null),
    steps: [...plan.steps, 100],
    interval_seconds: plan.intervalMs / 1000,
    min_requests: plan.minRequests,
    abort_on: plan.rules.map(({ text }) => text).join(","),
    author: plan.author,
    started_on: iso(rollout.startedOn),
    step_started_on: iso(rollout.stepSince),
    ended_on: rollout.endedOn === null ? null : iso(rollout.endedOn),
    /** Of the latest look while it runs. */
    latest: isRunning && look !== null ? { ...look, at: iso(look.at) } : null,
    decisions: rollout.decisions.map(decisionJson),
  };
}

function decisionJson({ at, action, percentage, why, look }: RolloutDecision) {
  const numbers = look && { requests: look.requests, checks: look.checks };
  return { at: iso(at), action, percentage, why, ...numbers };
}
