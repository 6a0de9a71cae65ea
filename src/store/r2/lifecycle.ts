/** Lifecycle rules of a bucket: objects and uploads that are deleted when they are old enough. */
import type { LifecycleRule } from "../../protocol/r2-rules.ts";

export interface Ended {
  readonly prefix: string;
  /** What is older, in Unix milliseconds. */
  readonly before: number;
}

export function endedBy(
  rules: readonly LifecycleRule[],
  transition: "deleteObjectsTransition" | "abortMultipartUploadsTransition",
  now: number,
): Ended[] {
  return rules.flatMap(({ enabled, conditions, [transition]: wanted }) => {
    if (!enabled || wanted === undefined) return [];
    const { condition } = wanted;
    const prefix = conditions?.prefix ?? "";
    if (condition.type === "Age") return [{ prefix, before: now - condition.maxAge * 1000 }];
    return Date.parse(condition.date) <= now ? [{ prefix, before: now }] : [];
  });
}
