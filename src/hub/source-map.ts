/**
 * Where a position of generated code was in its source: source maps of version 3, without sections.
 * https://tc39.es/ecma426/
 */

interface RawSourceMap {
  readonly version: number;
  readonly mappings: string;
  readonly sources: readonly (string | null)[];
  readonly sourceRoot?: string | null;
}

export interface SourcePosition {
  readonly source: string;
  /** From 1 on, both. */
  readonly line: number;
  readonly column: number;
}

/** generated column, source, line and column of each segment; all from 0 on. */
const FIELDS = 4;

export class SourceMap {
  readonly #sources: readonly (string | null)[];
  readonly #root: string;
  /** Of each line of the generated code. */
  readonly #lines: readonly Int32Array[];

  /** Throws if `text` is no such source map. */
  constructor(text: string) {
    const { version, mappings, sources, sourceRoot } = JSON.parse(text) as RawSourceMap;
    if (version !== 3 || typeof mappings !== "string" || !Array.isArray(sources)) {
      throw new TypeError("not a source map of version 3");
    }
    this.#sources = sources;
    this.#root = sourceRoot ? `${sourceRoot.replace(/\/$/, "")}/` : "";
    this.#lines = decode(mappings);
  }

  /** `line` and `column` from 1 on. undefined: that code comes from no source. */
  find(line: number, column: number): SourcePosition | undefined {
    const segments = this.#lines[line - 1];
    if (segments === undefined) return undefined;
    let low = 0;
    let high = segments.length / FIELDS;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((segments[middle * FIELDS] ?? 0) <= column - 1) low = middle + 1;
      else high = middle;
    }
    if (low === 0) return undefined;
    const [, source = -1, sourceLine = 0, sourceColumn = 0] = segments.subarray(
      (low - 1) * FIELDS,
      low * FIELDS,
    );
    const name = this.#sources[source];
    if (name === undefined || name === null) return undefined;
    return { source: this.#root + name, line: sourceLine + 1, column: sourceColumn + 1 };
  }
}

function decode(mappings: string): Int32Array[] {
  const state = { at: 0 };
  let [source, sourceLine, sourceColumn] = [0, 0, 0];
  const lines: Int32Array[] = [];
  let segments: number[] = [];
  let column = 0;
  while (state.at < mappings.length) {
    const character = mappings[state.at];
    if (character === ";") {
      lines.push(Int32Array.from(segments));
      segments = [];
      column = 0;
      state.at++;
      continue;
    }
    if (character === ",") {
      state.at++;
      continue;
    }
    column += readVlq(mappings, state);
    if (isEnd(mappings, state.at)) {
      segments.push(column, -1, 0, 0);
      continue;
    }
    source += readVlq(mappings, state);
    sourceLine += readVlq(mappings, state);
    sourceColumn += readVlq(mappings, state);
    // The index of a name.
    if (!isEnd(mappings, state.at)) readVlq(mappings, state);
    segments.push(column, source, sourceLine, sourceColumn);
  }
  lines.push(Int32Array.from(segments));
  return lines;
}

function isEnd(mappings: string, at: number): boolean {
  return at >= mappings.length || mappings[at] === "," || mappings[at] === ";";
}

const DIGITS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/** Five bits a digit, the lowest first; the sixth says that there is more, the lowest of all is the sign. */
function readVlq(mappings: string, state: { at: number }): number {
  let value = 0;
  for (let shift = 0; ; shift += 5) {
    const digit = DIGITS.indexOf(mappings[state.at++] ?? " ");
    if (digit < 0 || shift > 30) throw new TypeError("a source map has bad mappings");
    value |= (digit & 31) << shift;
    if ((digit & 32) === 0) break;
  }
  return (value & 1) === 0 ? value >>> 1 : -(value >>> 1);
}
