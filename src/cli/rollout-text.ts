/** Rollouts as the API tells of them, and as lines of text. */
import { alignColumns } from "./table.ts";

export interface RolloutResult {
  readonly state: "running" | "promoted" | "rolled-back" | "aborted" | "superseded";
  readonly version_id: string;
  readonly previous_version_id: string;
  readonly percentage: number | null;
  readonly steps: readonly number[];
  readonly interval_seconds: number;
  readonly min_requests: number;
  readonly abort_on: string;
  readonly latest: { readonly at: string; readonly why: string } | null;
  readonly decisions: readonly {
    readonly at: string;
    readonly action: string;
    readonly percentage: number | null;
    readonly why: string;
    readonly requests?: { readonly candidate: number; readonly baseline: number };
  }[];
}

export function renderRollout(name: string, rollout: RolloutResult): string[] {
  const { latest, decisions } = rollout;
  const rows = decisions.map(({ at, action, percentage, why, requests }) => [
    at,
    action,
    percentage === null ? "-" : `${percentage} %`,
    requests === undefined
      ? why
      : `${why}; ${requests.candidate} requests against ${requests.baseline}`,
  ]);
  return [
    `${name}: ${rollout.version_id} instead of ${rollout.previous_version_id}: ${stateOf(rollout)}`,
    "",
    ...alignColumns(rows),
    ...(latest === null ? [] : ["", `now: ${latest.why} (${latest.at})`]),
  ];
}

function stateOf({ state, percentage, steps }: RolloutResult): string {
  if (state !== "running") return state;
  const later = steps.filter((step) => step > (percentage ?? 0));
  return `running at ${percentage} %, then ${later.join(", ")} %`;
}
