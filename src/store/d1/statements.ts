/** SQL text as a list of statements, without parsing more than needed to find their ends. Pure. */

/** A comment, something quoted, a word, or any other character. What is not closed goes on to the end. */
const TOKEN =
  /--[^\n]*|\/\*[\s\S]*?(?:\*\/|$)|'(?:[^']|'')*(?:'|$)|"(?:[^"]|"")*(?:"|$)|`(?:[^`]|``)*(?:`|$)|\[[^\]]*(?:\]|$)|[\p{L}_][\p{L}\p{N}_$]*|[\s\S]/gu;

/** Those that have only comments and spaces are left out; the last one need not have a semicolon. */
export function splitStatements(sql: string): string[] {
  const { whole, rest } = splitWhole(sql);
  return isBlank(withoutComments(rest)) ? whole : [...whole, rest.trim()];
}

function withoutComments(sql: string): string {
  return sql.replace(TOKEN, (token) => (/^--|^\/\*/.test(token) ? "" : token));
}

/** Those that have their semicolon, and what is left over. */
export function splitWhole(sql: string): { whole: string[]; rest: string } {
  const whole: string[] = [];
  let start = 0;
  let words = 0;
  let isCreate = false;
  let isTrigger = false;
  let isEmpty = true;
  /** Of BEGIN and CASE in the body of a trigger. */
  let depth = 0;
  const end = (at: number) => {
    if (!isEmpty) whole.push(sql.slice(start, at).trim());
    start = at + 1;
    words = 0;
    isCreate = isTrigger = false;
    isEmpty = true;
    depth = 0;
  };
  for (const { 0: token, index } of sql.matchAll(TOKEN)) {
    if (token === ";" && depth === 0) {
      end(index);
      continue;
    }
    if (/^\s|^--|^\/\*/.test(token)) continue;
    isEmpty = false;
    if (!/^[\p{L}_]/u.test(token)) continue;
    const word = token.toUpperCase();
    words++;
    if (words === 1) isCreate = word === "CREATE";
    else if (isCreate && words <= 3 && word === "TRIGGER") isTrigger = true;
    if (!isTrigger) continue;
    if (word === "BEGIN" || word === "CASE") depth++;
    else if (word === "END") depth--;
  }
  return { whole, rest: sql.slice(start) };
}

/** Whether there is nothing to run. Looks at each character once, however many lines are empty. */
export function isBlank(sql: string): boolean {
  return sql.replace(/^[^\S\r\n\u2028\u2029]*--.*/gm, "").trim() === "";
}

/** Whether it can change nothing, as far as its first word tells; false when in doubt, as of several statements. */
export function isReading(sql: string): boolean {
  const end = sql.indexOf(";");
  if (end !== -1 && sql.slice(end + 1).trim() !== "") return false;
  return /^\s*(?:select|values|explain)\b/i.test(sql);
}

/** Whether it may change the schema; true when in doubt. */
export function mayChangeSchema(sql: string): boolean {
  return /\b(?:create|alter|drop)\b/i.test(sql);
}

/** Whether it may take away more than somebody meant; false for what takes single rows. */
export function mayLoseMuch(sql: string): boolean {
  return (
    /^\s*(?:drop|alter)\b/i.test(sql) ||
    (/^\s*(?:delete|update)\b/i.test(sql) && !/\bwhere\b/i.test(sql))
  );
}

/** Names of our own tables and triggers in a tenant's database begin so. */
export const OWN_PREFIX = "_skep_";

/**
 * Whether it may name anything of ours. Names cannot be put together while a statement runs, so whoever means one writes it,
 * quoted or not; a text in single quotes counts, since SQLite takes it for a name where it must be one.
 */
export function namesOurs(sql: string): boolean {
  return /(?<![\p{L}\p{N}_$])_skep_/iu.test(sql);
}
