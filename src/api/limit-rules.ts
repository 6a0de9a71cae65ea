/** Which limits may be set: those of the table, from their minimum to the operator's maximum. */
import * as z from "zod";
import {
  LIMIT_NAMES,
  LIMITS,
  NAMESPACE_LIMITS,
  type LimitName,
  type LimitSettings,
  type PlatformLimits,
} from "../protocol/limits.ts";
import type { CodeName } from "./codes.ts";
import { ApiError } from "./errors.ts";
import { validate } from "./json-body.ts";

export const settings = z.record(z.string(), z.number().nullable());

/** What a body sets; null is the same as absent. */
export function parseLimits(
  raw: unknown,
  platform: PlatformLimits,
  owner: "namespace" | "script",
): LimitSettings {
  const limits: Partial<Record<LimitName, number>> = {};
  for (const [name, value] of Object.entries(validate(settings, raw, "body", "badLimit"))) {
    if (!isLimit(name)) {
      const names = LIMIT_NAMES.join(", ");
      throw new ApiError("badLimit", `body.${name}: there is no such limit; there are ${names}`);
    }
    if (NAMESPACE_LIMITS.includes(name) && owner !== "namespace") {
      throw new ApiError(
        "badLimit",
        `body.${name}: is a limit of a namespace; set it there (of Workers outside of namespaces: with skep start --limits)`,
      );
    }
    if (value !== null) limits[name] = value;
  }
  refuseBadLimits(limits, platform, "body", "badLimit");
  return limits;
}

/** `root` is where the limits came from, for messages: `metadata.limits`. */
export function refuseBadLimits(
  limits: LimitSettings,
  { maxima }: PlatformLimits,
  root: string,
  code: CodeName,
): void {
  for (const name of LIMIT_NAMES) {
    const value = limits[name];
    const { minimum, unit } = LIMITS[name];
    if (value === undefined) continue;
    if (Number.isInteger(value) && value >= minimum && value <= maxima[name]) continue;
    throw new ApiError(
      code,
      `${root}.${name}: expected a whole number from ${minimum} to ${maxima[name]}${unit && ` ${unit}`}, got ${value}`,
    );
  }
}

function isLimit(name: string): name is LimitName {
  return Object.hasOwn(LIMITS, name);
}
