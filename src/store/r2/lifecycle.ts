/** Lifecycle rules of a bucket: objects and uploads that are deleted when they are old enough. */

/** As Cloudflare's API has it. Ages are seconds, dates begin the day at which the rule begins to hold. */
export interface LifecycleRule {
  readonly id: string;
  readonly enabled: boolean;
  readonly conditions?: { readonly prefix?: string };
  readonly deleteObjectsTransition?: { readonly condition: LifecycleCondition };
  readonly abortMultipartUploadsTransition?: { readonly condition: LifecycleCondition };
}

export type LifecycleCondition =
  | { readonly type: "Age"; readonly maxAge: number }
  | { readonly type: "Date"; readonly date: string };

/** What Cloudflare gives each new bucket: uploads end after seven days. */
export const DEFAULT_RULES: readonly LifecycleRule[] = [
  {
    id: "Default Multipart Abort Rule",
    enabled: true,
    conditions: { prefix: "" },
    abortMultipartUploadsTransition: { condition: { type: "Age", maxAge: 604_800 } },
  },
];

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
