/** The `_headers` file. https://developers.cloudflare.com/workers/static-assets/headers/ */
import type { HeaderRule } from "../../protocol/assets.ts";
import { badPattern, invalid, linesOf, placeOf, placeText, type Line } from "./rule-file.ts";

const NAME = "_headers";
const MAX_RULES = 100;

/** By these, clients tell answers of the platform from those of functions. */
const OURS = "x-skep-";

interface OpenRule {
  readonly line: Line;
  readonly path: string;
  readonly set: Record<string, string>;
  readonly unset: string[];
}

export function parseHeaders(file: string): HeaderRule[] {
  const rules: OpenRule[] = [];
  for (const line of linesOf(NAME, file)) {
    const isPath = /^(?:[^\s]+:\/\/|\/)/.test(line.text);
    if (isPath) {
      rules.push({ line, path: parsePath(line), set: {}, unset: [] });
      continue;
    }
    const rule = rules.at(-1);
    if (rule === undefined) throw invalid(NAME, line, "A path comes first, beginning with /.");
    addHeader(rule, line);
  }
  const empty = rules.find(({ set, unset }) => Object.keys(set).length + unset.length === 0);
  if (empty) throw invalid(NAME, empty.line, `No headers are given for ${empty.path}.`);
  const surplus = rules[MAX_RULES];
  if (surplus) throw invalid(NAME, surplus.line, `No more than ${MAX_RULES} rules are allowed.`);
  return rules.map(({ path, set, unset }) => ({ path, set, unset }));
}

function parsePath(line: Line): string {
  const place = placeOf(line.text, false);
  if (place === null) throw invalid(NAME, line, "A path begins with / or https://.");
  if (place.host !== undefined && /:\d+$/.test(place.host)) {
    throw invalid(NAME, line, `A host is given without a port, got ${place.host}.`);
  }
  const path = placeText(place);
  const why = badPattern(path);
  if (why) throw invalid(NAME, line, why);
  return path;
}

function addHeader({ set, unset }: OpenRule, line: Line): void {
  const { text } = line;
  if (text.startsWith("! ") && !text.includes(":")) {
    unset.push(checked(line, text.slice(2).trim(), ""));
    return;
  }
  const colon = text.indexOf(":");
  if (colon < 0) throw invalid(NAME, line, `Expected "name: value", got "${text}".`);
  const value = text.slice(colon + 1).trim();
  const name = checked(line, text.slice(0, colon).trim().toLowerCase(), value);
  if (value === "") throw invalid(NAME, line, `The header ${name} has no value.`);
  const before = set[name];
  set[name] = before === undefined ? value : `${before}, ${value}`;
}

/** Answers could not be made with other ones. */
function checked(line: Line, name: string, value: string): string {
  if (name.startsWith(OURS)) {
    throw invalid(NAME, line, `Headers that begin with ${OURS} are the platform's own.`);
  }
  try {
    new Headers([[name, value]]);
  } catch {
    throw invalid(NAME, line, `"${line.text}" is no header that HTTP allows.`);
  }
  return name;
}
