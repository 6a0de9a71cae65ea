/**
 * The marker lines of one process (protocol/ledger.ts): which version's handler started last. Lines that only
 * look like one, because a tenant prints them, are ordinary output.
 */
import { ANNOUNCEMENT, MARKER } from "../../protocol/ledger.ts";

/** Far more than a process holds isolates. */
const MAX_TOKENS = 8192;
const TOKEN_CHARACTERS = 32;
const MARKER_CHARACTERS = MARKER.length + TOKEN_CHARACTERS;

export interface LastMarker {
  readonly versionId: string;
  /** Unix milliseconds at which the line was read. */
  readonly atMs: number;
}

export class Markers {
  readonly #announcement: string;
  readonly #versions = new Map<string, string>();
  readonly #now: () => number;
  #last: { versionId: string; atMs: number } | null = null;
  #count = 0;

  /** `ledgerKey` in hex, as the process has it. */
  constructor(ledgerKey: string, now: () => number = Date.now) {
    this.#announcement = `${ANNOUNCEMENT}${ledgerKey} `;
    this.#now = now;
  }

  get last(): LastMarker | null {
    return this.#last;
  }

  /** Marker lines taken so far: each is a sign of progress. */
  get count(): number {
    return this.#count;
  }

  /** `line` without its end. True: it was trusted code's and is nobody else's business. */
  take(line: string): boolean {
    if (line.length === MARKER_CHARACTERS && line.startsWith(MARKER)) {
      const versionId = this.#versions.get(line.slice(MARKER.length));
      if (versionId === undefined) return false;
      this.#last = { versionId, atMs: this.#now() };
      this.#count++;
      return true;
    }
    if (!line.startsWith(this.#announcement)) return false;
    const [token = "", versionId = ""] = line.slice(this.#announcement.length).split(" ");
    if (token.length !== TOKEN_CHARACTERS || versionId === "") return false;
    this.#versions.set(token, versionId);
    const [oldest] = this.#versions.keys();
    if (this.#versions.size > MAX_TOKENS && oldest !== undefined) this.#versions.delete(oldest);
    return true;
  }
}
