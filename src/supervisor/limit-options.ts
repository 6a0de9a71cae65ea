/** Reads `--limits` and `--max-limits`, the operator's say in the limits of functions (protocol/limits.ts). */
import {
  DEFAULT_PLATFORM_LIMITS,
  LIMIT_NAMES,
  LIMITS,
  type LimitName,
  type LimitSettings,
  type PlatformLimits,
} from "../protocol/limits.ts";
import { StartError } from "./start-error.ts";

/** Timers and the ledger hold milliseconds in 31 bits. */
const HIGHEST_MAXIMUM = 2 ** 31 - 1;

type LimitTexts = readonly (readonly [name: string, value: string])[];

/** The pairs of `name=value,name=value`; undefined: it is not written like that. */
export function readLimitTexts(text: string): LimitTexts | undefined {
  const pairs: [string, string][] = [];
  for (const part of text.split(",")) {
    const [, name, value] = /^\s*([^=\s]+)=([^=\s]*)\s*$/.exec(part) ?? [];
    if (name === undefined || value === undefined) return undefined;
    pairs.push([name, value]);
  }
  return pairs;
}

/** @throws StartError that names the option, the limit, its value and what it may be. */
export function readPlatformLimits(
  limits: LimitTexts = [],
  maxLimits: LimitTexts = [],
): PlatformLimits {
  const maxima = {
    ...DEFAULT_PLATFORM_LIMITS.maxima,
    ...readSettings("max-limits", maxLimits, () => HIGHEST_MAXIMUM, ""),
  };
  const asked = readSettings(
    "limits",
    limits,
    (name) => maxima[name],
    "; --max-limits sets the highest",
  );
  const defaults = { ...DEFAULT_PLATFORM_LIMITS.defaults };
  for (const name of LIMIT_NAMES)
    defaults[name] = asked[name] ?? Math.min(defaults[name], maxima[name]);
  return { defaults, maxima };
}

function readSettings(
  option: string,
  texts: LimitTexts,
  maximumOf: (name: LimitName) => number,
  hint: string,
): LimitSettings {
  const settings: Partial<Record<LimitName, number>> = {};
  for (const [name, text] of texts) {
    if (!isLimitName(name)) {
      throw new StartError(
        `--${option}: there is no limit ${JSON.stringify(name)}; there are ${LIMIT_NAMES.join(", ")}`,
      );
    }
    const { minimum, unit } = LIMITS[name];
    const maximum = maximumOf(name);
    const value = Number(text);
    if (!/^\d+$/.test(text) || value < minimum || value > maximum) {
      const range = `a whole number from ${minimum} to ${maximum}${unit === "" ? "" : ` ${unit}`}`;
      throw new StartError(
        `--${option}: ${name}: expected ${range}, got ${JSON.stringify(text)}${hint}`,
      );
    }
    settings[name] = value;
  }
  return settings;
}

function isLimitName(name: string): name is LimitName {
  return Object.hasOwn(LIMITS, name);
}
