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

/** Two arrays whatever the map: a hostile one may have millions of lines, and an object for each would fill the hub. */
interface Mappings {
  readonly segments: Int32Array;
  /** Index of the first segment of each line, and of the end. */
  readonly lines: Int32Array;
}

export class SourceMap {
  readonly #sources: readonly (string | null)[];
  readonly #root: string;
  readonly #mappings: Mappings;

  /** Throws if `text` is no such source map. */
  constructor(text: string) {
    const { version, mappings, sources, sourceRoot } = JSON.parse(text) as RawSourceMap;
    if (version !== 3 || typeof mappings !== "string" || !Array.isArray(sources)) {
      throw new TypeError("not a source map of version 3");
    }
    this.#sources = sources;
    this.#root = sourceRoot ? `${sourceRoot.replace(/\/$/, "")}/` : "";
    this.#mappings = decode(mappings);
  }

  get bytes(): number {
    return this.#mappings.segments.byteLength + this.#mappings.lines.byteLength;
  }

  /** `line` and `column` from 1 on. undefined: that code comes from no source. */
  find(line: number, column: number): SourcePosition | undefined {
    const { segments, lines } = this.#mappings;
    const [first, end] = [lines[line - 1], lines[line]];
    if (first === undefined || end === undefined) return undefined;
    let low = first;
    let high = end;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((segments[middle * FIELDS] ?? 0) <= column - 1) low = middle + 1;
      else high = middle;
    }
    if (low === first) return undefined;
    const [, source = -1, sourceLine = 0, sourceColumn = 0] = segments.subarray(
      (low - 1) * FIELDS,
      low * FIELDS,
    );
    const name = this.#sources[source];
    if (name === undefined || name === null) return undefined;
    return { source: this.#root + name, line: sourceLine + 1, column: sourceColumn + 1 };
  }
}

function decode(mappings: string): Mappings {
  const { lines, segments } = roomFor(mappings);
  const state = { at: 0 };
  let [source, sourceLine, sourceColumn] = [0, 0, 0];
  let [line, column, count] = [0, 0, 0];
  while (state.at < mappings.length) {
    const character = mappings[state.at];
    if (character === ";") {
      lines[++line] = count;
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
      segments.set([column, -1, 0, 0], count++ * FIELDS);
      continue;
    }
    source += readVlq(mappings, state);
    sourceLine += readVlq(mappings, state);
    sourceColumn += readVlq(mappings, state);
    // The index of a name.
    if (!isEnd(mappings, state.at)) readVlq(mappings, state);
    segments.set([column, source, sourceLine, sourceColumn], count++ * FIELDS);
  }
  lines[++line] = count;
  return { lines, segments };
}

/** A segment is what ends at a comma, a semicolon or the end. Whoever puts two into one does not get it read. */
function roomFor(mappings: string): Mappings {
  let [lines, segments] = [1, 0];
  for (let at = 0; at < mappings.length; at++) {
    if (mappings[at] === ";") lines++;
    else if (mappings[at] !== "," && isEnd(mappings, at + 1)) segments++;
  }
  return { lines: new Int32Array(lines + 1), segments: new Int32Array(segments * FIELDS) };
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
