/**
 * Patterns of `_redirects`, `_headers` and `run_worker_first`, which tenants write and edges evaluate: `*` stands for
 * anything, `:name` for one part of a path, or of a host name before the first slash. No regular expressions: what a
 * match may cost has to be bounded, by the length of the pattern times that of the text.
 */

/** Longer paths match no pattern. */
const MAX_TEXT_LENGTH = 2_000;

type Token =
  | { readonly kind: "text"; readonly text: string }
  /** Anything, also nothing. */
  | { readonly kind: "splat" }
  /** At least one character, none of `stops`. */
  | { readonly kind: "part"; readonly name: string; readonly stops: string };

export type Captures = Readonly<Record<string, string>>;

export class Pattern {
  readonly #tokens: readonly Token[];

  /** `placeholders` false: a colon is a colon. */
  constructor(source: string, placeholders = true) {
    this.#tokens = tokensOf(source, placeholders);
  }

  /** undefined: it does not match. What `*` stands for is called `splat`; longest first. */
  match(text: string): Captures | undefined {
    const tokens = this.#tokens;
    const [first] = tokens;
    if (first?.kind === "text" && !text.startsWith(first.text)) return undefined;
    if (tokens.length === 1 && first?.kind === "text") {
      return text.length === first.text.length ? {} : undefined;
    }
    if (text.length > MAX_TEXT_LENGTH) return undefined;
    const rest = endings(tokens, text);
    return rest[0]?.[0] === 1 ? capture(tokens, text, rest) : undefined;
  }
}

function tokensOf(source: string, placeholders: boolean): Token[] {
  const isAbsolute = source.startsWith("https://");
  const pathStart = isAbsolute ? source.indexOf("/", "https://".length) : 0;
  const found = source.matchAll(placeholders ? /\*|:([A-Za-z]\w*)/g : /\*/g);
  const tokens: Token[] = [];
  let from = 0;
  for (const { 0: special, 1: name, index } of found) {
    if (index > from) tokens.push({ kind: "text", text: source.slice(from, index) });
    const stops = index < pathStart ? "/." : "/";
    tokens.push(name === undefined ? { kind: "splat" } : { kind: "part", name, stops });
    from = index + special.length;
  }
  if (from < source.length) tokens.push({ kind: "text", text: source.slice(from) });
  return tokens;
}

/** `[t][i]` is 1 if the text from `i` on is matched by the tokens from `t` on. */
function endings(tokens: readonly Token[], text: string): Uint8Array[] {
  const end = new Uint8Array(text.length + 1);
  end[text.length] = 1;
  const rows = [end];
  for (const token of tokens.toReversed()) {
    const next = rows[0] as Uint8Array;
    const row = new Uint8Array(text.length + 1);
    for (let i = text.length; i >= 0; i--) row[i] = Number(matchesAt(token, text, i, row, next));
    rows.unshift(row);
  }
  return rows;
}

function matchesAt(
  token: Token,
  text: string,
  i: number,
  row: Uint8Array,
  next: Uint8Array,
): boolean {
  switch (token.kind) {
    case "text":
      return next[i + token.text.length] === 1 && text.startsWith(token.text, i);
    case "splat":
      return next[i] === 1 || row[i + 1] === 1;
    case "part":
      return isPart(token.stops, text[i]) && (next[i + 1] === 1 || row[i + 1] === 1);
  }
}

function isPart(stops: string, character: string | undefined): boolean {
  return character !== undefined && !stops.includes(character);
}

function capture(
  tokens: readonly Token[],
  text: string,
  rest: readonly Uint8Array[],
): Captures | undefined {
  const captures: Record<string, string> = {};
  let at = 0;
  for (const [index, token] of tokens.entries()) {
    const next = rest[index + 1] as Uint8Array;
    const start = at;
    if (token.kind === "text") {
      at += token.text.length;
      continue;
    }
    let end = text.length;
    if (token.kind === "part") {
      end = start;
      while (isPart(token.stops, text[end])) end++;
    }
    while (next[end] !== 1) end--;
    at = end;
    captures[token.kind === "part" ? token.name : "splat"] = text.slice(start, at);
  }
  return captures;
}

/** `:name` in `text` by what was captured under that name. */
export function fill(text: string, captures: Captures): string {
  let filled = text;
  for (const [name, value] of Object.entries(captures)) {
    filled = filled.replaceAll(`:${name}`, () => value);
  }
  return filled;
}
