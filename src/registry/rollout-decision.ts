/**
 * What to do with a rollout, from the numbers of its two versions alone: no clock, no storage. A new version is
 * rolled back only when chance can hardly explain what it did, and goes on only when every rule is kept; in
 * between it waits for more requests.
 */
import { Histogram, bucketValue } from "../dispatcher/histogram.ts";
import type { MetricsTotals } from "../protocol/metrics-report.ts";
import type { HistogramData } from "../protocol/telemetry.ts";
import { atLeast } from "./binomial.ts";
import { formatMetric, type RolloutRule, type RuleMetric } from "./rollout-rules.ts";

/** What one version did since the step began. */
export interface VersionSample {
  /** Without those that the platform refused to hand over, which say nothing of the version. */
  readonly requests: number;
  /** Ended by an exception or a limit, or answered with a status of 500 or more. */
  readonly errors: number;
  readonly coldStarts: number;
  readonly wall: HistogramData;
  /** null: where it runs, nobody can tell yet. */
  readonly cpu: HistogramData | null;
}

export interface RuleCheck {
  readonly rule: string;
  readonly metric: RuleMetric;
  /** A share or milliseconds; null: no request. */
  readonly candidate: number | null;
  readonly baseline: number | null;
  /** What the candidate must not exceed; null: not known yet. */
  readonly limit: number | null;
  /** `unsure`: too few requests, or above the limit and perhaps by chance. */
  readonly state: "kept" | "unsure" | "broken";
}

export interface RolloutLook {
  readonly verdict: "advance" | "wait" | "roll-back";
  readonly why: string;
  readonly requests: { readonly candidate: number; readonly baseline: number };
  readonly checks: readonly RuleCheck[];
}

export interface RolloutFacts {
  readonly rules: readonly RolloutRule[];
  /** Of each version, before it is compared and before the candidate gets a larger share. */
  readonly minRequests: number;
  readonly intervalMs: number;
  /** Since the step began. */
  readonly elapsedMs: number;
  readonly candidate: VersionSample;
  readonly baseline: VersionSample;
  /** The same since both run in the same kind of place, for latencies to compare; null: they do not yet. */
  readonly alike: Pick<RolloutFacts, "candidate" | "baseline"> | null;
}

/** A rule is broken when chance alone does so to one sound version in a thousand looks. */
const BY_CHANCE = 0.001;
/** Fewer requests prove nothing, however many of them failed. */
const LEAST_REQUESTS = 10;
/** Differences below these are noise of the clock, of a hop between processes and of the estimate. */
const LEAST_LATENCY_MS = 5;
const LEAST_COST_MS = 0.2;

const QUANTILES = { p50: 0.5, p90: 0.9, p99: 0.99 } as const;

export function decide(facts: RolloutFacts): RolloutLook {
  const { rules, minRequests, intervalMs, elapsedMs, candidate, baseline } = facts;
  const checks = rules.map((rule) => check(rule, facts));
  const look = {
    requests: { candidate: candidate.requests, baseline: baseline.requests },
    checks,
  };
  const broken = checks.find(({ state }) => state === "broken");
  if (broken) {
    const why = `${describe(broken)} in ${candidate.requests} requests breaks ${broken.rule}`;
    return { ...look, verdict: "roll-back", why };
  }
  const wait = (why: string): RolloutLook => ({ ...look, verdict: "wait", why });
  if (candidate.requests < minRequests) {
    return wait(`the new version has ${candidate.requests} of ${minRequests} requests`);
  }
  const unsure = checks.find(({ state }) => state === "unsure");
  if (unsure) return wait(`not sure yet of ${unsure.rule}: ${describe(unsure)}`);
  if (elapsedMs < intervalMs) {
    return wait(`${Math.floor(elapsedMs / 1000)} of ${intervalMs / 1000} s`);
  }
  const kept = checks.map(describe).join(", ");
  return { ...look, verdict: "advance", why: kept === "" ? "no rules" : kept };
}

export function sampleOf(totals: MetricsTotals | undefined): VersionSample {
  if (!totals) return { requests: 0, errors: 0, coldStarts: 0, wall: NONE, cpu: null };
  const { outcomes, statuses, wall, cpu, coldStarts } = totals;
  const requests = wall.count - (outcomes.loadShed ?? 0);
  const failed = requests - (outcomes.ok ?? 0) - (outcomes.canceled ?? 0);
  // A response with such a status is the function's own, and its outcome is ok.
  return {
    requests,
    errors: failed + (statuses["5xx"] ?? 0),
    coldStarts,
    wall,
    cpu: cpu ?? null,
  };
}

const NONE: HistogramData = { count: 0, sum: 0, zero: 0, buckets: [] };

function check(rule: RolloutRule, facts: RolloutFacts): RuleCheck {
  switch (rule.metric) {
    case "error_rate":
      return checkErrors(rule, facts);
    case "cost":
      return checkCost(rule, facts);
    case "p50":
    case "p90":
    case "p99":
      return checkLatency(rule, QUANTILES[rule.metric], facts);
  }
}

function checkErrors(rule: RolloutRule, facts: RolloutFacts): RuleCheck {
  const { candidate, baseline, minRequests } = facts;
  const values = {
    rule: rule.text,
    metric: rule.metric,
    candidate: rate(candidate.errors, candidate.requests),
    baseline: rate(baseline.errors, baseline.requests),
  };
  let limit = rule.threshold;
  if (rule.kind === "growth") {
    if (baseline.requests < minRequests) return { ...values, limit: null, state: "unsure" };
    // One error more than there was: that of a version which never failed is not known to be zero.
    limit = ((baseline.errors + 1) / (baseline.requests + 1)) * (1 + rule.threshold);
  }
  return { ...values, limit, state: judge(candidate.errors, candidate.requests, limit) };
}

function checkLatency(rule: RolloutRule, q: number, facts: RolloutFacts): RuleCheck {
  const { alike, minRequests } = facts;
  const isGrowth = rule.kind === "growth";
  const { candidate, baseline } = isGrowth && alike !== null ? alike : facts;
  const ofBaseline = Histogram.from(baseline.wall).quantile(q);
  const values = {
    rule: rule.text,
    metric: rule.metric,
    candidate: Histogram.from(candidate.wall).quantile(q),
    baseline: ofBaseline,
  };
  let limit = rule.threshold;
  if (isGrowth) {
    if (alike === null || ofBaseline === null || baseline.requests < minRequests) {
      return { ...values, limit: null, state: "unsure" };
    }
    limit = ofBaseline + Math.max(LEAST_LATENCY_MS, ofBaseline * rule.threshold);
  }
  // Cold starts do not count: the version that is new, and the one with fewer requests, has more of them.
  const slow = Math.max(0, countAbove(candidate.wall, limit) - candidate.coldStarts);
  const state = judge(slow, candidate.wall.count, 1 - q);
  const isEnough = candidate.requests >= minRequests;
  return { ...values, limit, state: state === "kept" && !isEnough ? "unsure" : state };
}

/** Whether `hits` of `count` are more than the share `allowed`. */
function judge(hits: number, count: number, allowed: number): RuleCheck["state"] {
  if (count < LEAST_REQUESTS) return "unsure";
  if (hits <= count * allowed) return "kept";
  return atLeast(hits, count, allowed) < BY_CHANCE ? "broken" : "unsure";
}

/** By means. An estimate has no spread that could be judged, so it needs all requests and all of the interval. */
function checkCost(rule: RolloutRule, facts: RolloutFacts): RuleCheck {
  const { candidate, baseline, minRequests, intervalMs, elapsedMs } = facts;
  const ofCandidate = mean(candidate.cpu);
  const ofBaseline = mean(baseline.cpu);
  const values = {
    rule: rule.text,
    metric: rule.metric,
    candidate: ofCandidate,
    baseline: ofBaseline,
  };
  let limit = rule.threshold;
  if (rule.kind === "growth") {
    if (ofBaseline === null || (baseline.cpu?.count ?? 0) < minRequests) {
      return { ...values, limit: null, state: "unsure" };
    }
    limit = ofBaseline + Math.max(LEAST_COST_MS, ofBaseline * rule.threshold);
  }
  if (ofCandidate === null || (candidate.cpu?.count ?? 0) < minRequests) {
    return { ...values, limit, state: "unsure" };
  }
  if (ofCandidate <= limit) return { ...values, limit, state: "kept" };
  return { ...values, limit, state: elapsedMs < intervalMs ? "unsure" : "broken" };
}

function describe({ metric, candidate, baseline, limit }: RuleCheck): string {
  const show = (value: number | null) => (value === null ? "-" : formatMetric(metric, value));
  return `${metric} ${show(candidate)} (old version ${show(baseline)}, limit ${show(limit)})`;
}

function rate(part: number, whole: number): number | null {
  return whole === 0 ? null : part / whole;
}

function mean(histogram: HistogramData | null): number | null {
  return histogram === null ? null : rate(histogram.sum, histogram.count);
}

function countAbove({ buckets }: HistogramData, limit: number): number {
  return buckets.reduce((sum, [index, count]) => sum + (bucketValue(index) > limit ? count : 0), 0);
}
