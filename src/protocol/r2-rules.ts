/** Rules of an R2 bucket as its settings have them: what the API takes, and what the store acts on. */

/** What event notifications tell of. */
export const R2_ACTIONS = [
  "PutObject",
  "CopyObject",
  "CompleteMultipartUpload",
  "DeleteObject",
  "LifecycleDeletion",
] as const;
export type R2Action = (typeof R2_ACTIONS)[number];

/** In `settings.notifications`: one for each queue. */
export interface R2Notification {
  readonly queueId: string;
  readonly rules: readonly {
    readonly prefix?: string | undefined;
    readonly suffix?: string | undefined;
    readonly actions: readonly R2Action[];
  }[];
}

/** In `settings.lifecycle`. As Cloudflare's API has it. Ages are seconds, dates begin the day at which the rule begins to hold. */
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
export const DEFAULT_LIFECYCLE: readonly LifecycleRule[] = [
  {
    id: "Default Multipart Abort Rule",
    enabled: true,
    conditions: { prefix: "" },
    abortMultipartUploadsTransition: { condition: { type: "Age", maxAge: 604_800 } },
  },
];
