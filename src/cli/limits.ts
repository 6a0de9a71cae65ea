/** `skep limits`: shows and sets the limits of a namespace or of one function. */
import {
  LIMIT_NAMES,
  LIMITS,
  NAMESPACE_LIMITS,
  type LimitName,
  type Limits,
} from "../protocol/limits.ts";
import type { Surroundings } from "../supervisor/config.ts";
import { callApi } from "./api-client.ts";
import { UsageError, type CommandArguments } from "./command.ts";
import { nearest } from "./nearest.ts";
import { findPlatform } from "./running-platform.ts";
import { readTargetOrNamespace } from "./script-target.ts";
import { alignColumns } from "./table.ts";

interface LimitsResult {
  readonly limits: Partial<Limits>;
  readonly effective: Limits;
}

export async function limits(args: CommandArguments, around: Surroundings): Promise<number> {
  const [target, ...assignments] = args.positionals;
  const path = `${readTargetOrNamespace("limits", target)}/limits`;
  const owner = target?.includes("/") ? "script" : "namespace";
  const changes = readAssignments(assignments);
  const platform = findPlatform(args.values, around);
  let result = (await callApi(platform, "GET", path)) as LimitsResult;
  if (changes.size > 0) {
    const wanted = { ...result.limits, ...Object.fromEntries(changes) };
    result = (await callApi(platform, "PUT", path, wanted)) as LimitsResult;
  }
  process.stdout.write(`${renderLimits(result, owner).join("\n")}\n`);
  return 0;
}

/** Of a script only what holds for it alone. */
export function renderLimits(
  { limits: set, effective }: LimitsResult,
  owner: "namespace" | "script",
): string[] {
  const names = LIMIT_NAMES.filter(
    (name) => owner === "namespace" || !NAMESPACE_LIMITS.includes(name),
  );
  const rows = names.map((name) => {
    const { unit, help } = LIMITS[name];
    // Zero isolates kept warm are none; zero of anything else is no limit.
    const unlimited = effective[name] === 0 && name !== "min_warm";
    const value = unlimited ? "none" : `${effective[name]} ${unit}`.trim();
    return [name, value, set[name] === undefined ? "" : `set to ${set[name]}`, help];
  });
  return alignColumns([["limit", "holds", "here", "for"], ...rows]);
}

/** `cpu_ms=50` sets, `cpu_ms=` removes: null. Ranges are the API's to check, since it knows the maxima. */
export function readAssignments(words: readonly string[]): Map<LimitName, number | null> {
  const changes = new Map<LimitName, number | null>();
  for (const word of words) {
    const [, name, text] = /^([^=]*)=(.*)$/.exec(word) ?? [];
    if (name === undefined || text === undefined) {
      throw new UsageError(
        `skep limits: expected name=value or name=, got ${JSON.stringify(word)}`,
      );
    }
    const known = LIMIT_NAMES.find((each) => each === name);
    if (known === undefined) {
      const suggestion = nearest(name, LIMIT_NAMES);
      const hint =
        suggestion === undefined
          ? `there are ${LIMIT_NAMES.join(", ")}`
          : `did you mean ${suggestion}?`;
      throw new UsageError(`skep limits: there is no limit ${JSON.stringify(name)}; ${hint}`);
    }
    if (!/^\d*$/.test(text)) {
      throw new UsageError(
        `skep limits: ${known}: expected a whole number, got ${JSON.stringify(text)}`,
      );
    }
    changes.set(known, text === "" ? null : Number(text));
  }
  return changes;
}
