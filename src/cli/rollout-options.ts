/** What `skep deploy --canary` and `skep rollout start` say of a rollout, as the API takes it. */
import type { CommandOption } from "./command.ts";
import { UsageError } from "./command.ts";

export const ROLLOUT_OPTIONS: Readonly<Record<string, CommandOption>> = {
  "abort-on": {
    placeholder: "RULES",
    help: "when to go back: error_rate, p50, p90, p99 or cost, each > a limit or > +growth",
    default: "error_rate>1%,p99>+50%",
  },
  steps: { placeholder: "LIST", help: "percentages after the first", default: "25,50,100" },
  interval: {
    placeholder: "TIME",
    help: "least time of a step, such as 30s or 5m",
    default: "60s",
  },
  "min-requests": {
    placeholder: "N",
    help: "requests of the new version that each step needs",
    default: "100",
  },
};

export interface RolloutBody {
  readonly steps: readonly number[];
  readonly interval_seconds?: number;
  readonly min_requests?: number;
  readonly abort_on?: string;
}

/** Defaults are the API's own. @throws UsageError */
export function readRolloutOptions(
  command: string,
  canary: string,
  values: Readonly<Record<string, string | undefined>>,
): RolloutBody {
  const { "abort-on": rules, steps = "25,50,100", interval, "min-requests": requests } = values;
  const first = percentage(command, "canary", canary);
  const later = steps.split(",").map((step) => percentage(command, "steps", step));
  return {
    // Without --steps a first step that is larger than some of the usual ones skips these.
    steps: [first, ...(values["steps"] === undefined ? later.filter((s) => s > first) : later)],
    ...(interval !== undefined && { interval_seconds: seconds(command, interval) }),
    ...(requests !== undefined && { min_requests: whole(command, requests) }),
    ...(rules !== undefined && { abort_on: rules }),
  };
}

function percentage(command: string, option: string, text: string): number {
  const [, number] = /^\s*(\d+(?:\.\d+)?)\s*%?\s*$/.exec(text) ?? [];
  if (number !== undefined) return Number(number);
  throw new UsageError(
    `skep ${command}: --${option}: expected percentages such as 10%, got ${JSON.stringify(text)}`,
  );
}

function seconds(command: string, text: string): number {
  const [, number, unit = "s"] = /^(\d+(?:\.\d+)?)(s|m|h)?$/.exec(text) ?? [];
  if (number !== undefined) return Number(number) * { s: 1, m: 60, h: 3600 }[unit as "s"];
  throw new UsageError(
    `skep ${command}: --interval: expected a time such as 60s, 5m or 1h, got ${JSON.stringify(text)}`,
  );
}

function whole(command: string, text: string): number {
  if (/^\d+$/.test(text)) return Number(text);
  throw new UsageError(
    `skep ${command}: --min-requests: expected a whole number, got ${JSON.stringify(text)}`,
  );
}
