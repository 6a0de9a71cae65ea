/**
 * The rules of a rollout as people write them: `error_rate>1%,p99>+50%,cost>+50%`. A rule says what the new
 * version must not exceed: a value of its own, or with `+` the value of the old version by so much.
 */
import { failure, success, type Result } from "./result.ts";

export const RULE_METRICS = ["error_rate", "p50", "p90", "p99", "cost"] as const;
export type RuleMetric = (typeof RULE_METRICS)[number];

export interface RolloutRule {
  /** As it was written. */
  readonly text: string;
  readonly metric: RuleMetric;
  /** `limit`: a share for `error_rate`, milliseconds for all others. `growth`: 0.5 is half as much again. */
  readonly kind: "limit" | "growth";
  readonly threshold: number;
}

const MAX_RULES = 10;
const FORMS =
  "expected such as error_rate>1%, p99>250ms, or with a + what it may be above that of the old version: p99>+50%, cost>+50%";

/** Fails with the reason, which names the rule. */
export function parseRules(text: string): Result<RolloutRule[], string> {
  const rules: RolloutRule[] = [];
  const parts = text.split(",").map((part) => part.trim());
  if (parts.length > MAX_RULES) return failure(`${parts.length} rules are more than ${MAX_RULES}`);
  for (const part of parts) {
    const rule = parseRule(part);
    if (!rule.ok) return rule;
    rules.push(rule.value);
  }
  return success(rules);
}

function parseRule(text: string): Result<RolloutRule, string> {
  const bad = (why: string) => failure(`the rule '${text}' ${why}`);
  const [, name, operator, plus, number, unit] =
    /^([^<>=\s]+)\s*([<>=]+)\s*(\+?)\s*(\d+(?:\.\d+)?)\s*([^\d\s]*)$/.exec(text) ?? [];
  if (name === undefined) return bad(`cannot be read: ${FORMS}`);
  const metric = RULE_METRICS.find((each) => each === name);
  if (metric === undefined) {
    return bad(`has no known metric: '${name}' is none of ${RULE_METRICS.join(", ")}`);
  }
  if (operator !== ">") return bad(`has '${operator}': a rule says with > when to roll back`);
  const value = Number(number);
  if (plus === "+") {
    if (unit !== "%") return bad(`compares with the old version, so that it needs a %, as +50%`);
    return success({ text, metric, kind: "growth", threshold: value / 100 });
  }
  if (metric === "error_rate") {
    if (unit !== "%") return bad(`needs a %: a share of all requests`);
    if (value >= 100) return bad(`never holds: no more than 100% of requests can fail`);
    return success({ text, metric, kind: "limit", threshold: value / 100 });
  }
  if (unit !== "ms" && unit !== "s") {
    return bad(`needs ms or s, or a + and a % to compare with the old version`);
  }
  return success({ text, metric, kind: "limit", threshold: unit === "s" ? value * 1000 : value });
}

/** `value`: a share or milliseconds, as in `RolloutRule`. */
export function formatMetric(metric: RuleMetric, value: number): string {
  if (metric === "error_rate") return `${round(value * 100)} %`;
  return `${round(value)} ms`;
}

function round(value: number): string {
  return String(Number(value.toPrecision(3)));
}
