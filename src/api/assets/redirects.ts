/** The `_redirects` file. https://developers.cloudflare.com/workers/static-assets/redirects/ */
import type { RedirectRule } from "../../protocol/assets.ts";
import { badPattern, invalid, linesOf, placeOf, placeText, type Line } from "./rule-file.ts";

const NAME = "_redirects";
const MAX_STATIC_RULES = 2_000;
const MAX_DYNAMIC_RULES = 100;
const STATUSES: readonly number[] = [200, 301, 302, 303, 307, 308];
const IS_DYNAMIC = /\*|:[A-Za-z]\w*/;

export function parseRedirects(file: string, htmlHandling: string): RedirectRule[] {
  const rules = new Map<string, RedirectRule>();
  let dynamic = 0;
  for (const line of linesOf(NAME, file)) {
    const rule = parseRule(line, htmlHandling);
    if (rules.has(rule.from))
      throw invalid(NAME, line, `There is a rule for ${rule.from} already.`);
    rules.set(rule.from, rule);
    // What follows a rule with a pattern is found in order too.
    if (dynamic > 0 || IS_DYNAMIC.test(rule.from)) dynamic++;
    if (dynamic > MAX_DYNAMIC_RULES) {
      const what = `rules with * or placeholders are allowed`;
      throw invalid(NAME, line, `No more than ${MAX_DYNAMIC_RULES} ${what}.`);
    }
    if (rules.size - dynamic > MAX_STATIC_RULES) {
      throw invalid(NAME, line, `No more than ${MAX_STATIC_RULES} static rules are allowed.`);
    }
  }
  return [...rules.values()];
}

function parseRule(line: Line, htmlHandling: string): RedirectRule {
  const words = line.text.replace(/\s+#.*$/, "").split(/\s+/);
  const [fromText = "", toText, statusText = "302", ...rest] = words;
  if (toText === undefined || rest.length > 0) {
    throw invalid(NAME, line, `Expected "from to [status]", got "${line.text}".`);
  }
  const from = placeOf(/^(?:\/|https:)/.test(fromText) ? fromText : `/${fromText}`, false);
  if (from === null || from.host !== undefined) {
    throw invalid(NAME, line, `The source is a path that begins with /, got ${fromText}.`);
  }
  const to = placeOf(toText, true);
  if (to === null) {
    throw invalid(NAME, line, `The target is a path or begins with https://, got ${toText}.`);
  }
  const status = Number(statusText);
  if (!STATUSES.includes(status)) {
    throw invalid(
      NAME,
      line,
      `Valid status codes are ${STATUSES.join(", ")}; 302 is the default. Got ${statusText}.`,
    );
  }
  const why = badPattern(from.path);
  if (why) throw invalid(NAME, line, why);
  if (to.host !== undefined && status === 200) {
    throw invalid(NAME, line, `A rule with status 200 leads to a path, got ${toText}.`);
  }
  if (to.host === undefined && isLoop(from.path, to.path, htmlHandling)) {
    throw invalid(
      NAME,
      line,
      "Infinite loop detected in this rule. This would cause a redirect to strip `.html` or `/index` and end up triggering this rule again.",
    );
  }
  return {
    from: placeText(from),
    to: placeText(to),
    status: status as RedirectRule["status"],
    line: line.number,
  };
}

function isLoop(from: string, to: string, htmlHandling: string): boolean {
  if (!/\/index(?:.html)?$/.test(to)) return false;
  return from.endsWith("/*") || (from.endsWith("/") && htmlHandling !== "none");
}
