/**
 * Keeps the ledger of this process (protocol/ledger.ts): a few integer stores per invocation. Without a key
 * it carries no mark, and nobody outside finds it.
 */
import {
  BEGINS,
  CPU_MS,
  ENDS,
  ENTRY_WORDS,
  HEADER_WORDS,
  LAST_BEGIN,
  LEDGER_BYTES,
  LEDGER_ENTRIES,
  LEDGER_KEY_BYTES,
  LEDGER_MASK,
  ORDER,
  UNDER_WAY,
  uuidWords,
} from "../protocol/ledger.ts";

/** Index of an entry's first word. 0: no entry was free; calls with it count in the totals only. */
export type LedgerEntry = number;

export class Ledger {
  readonly #words = new Int32Array(LEDGER_BYTES / 4);
  readonly #free: LedgerEntry[] = [];

  /** `keyHex`: LEDGER_KEY_BYTES bytes in hexadecimal. */
  constructor(keyHex?: string) {
    for (let entry = LEDGER_ENTRIES - 1; entry >= 0; entry--) {
      this.#free.push(HEADER_WORDS + entry * ENTRY_WORDS);
    }
    if (keyHex === undefined) return;
    const mark = new Uint8Array(this.#words.buffer, 0, LEDGER_KEY_BYTES);
    for (let at = 0; at < LEDGER_KEY_BYTES; at++) {
      mark[at] = Number.parseInt(keyHex.slice(2 * at, 2 * at + 2), 16) ^ LEDGER_MASK;
    }
  }

  /** For tests: what is read from the outside. */
  get buffer(): ArrayBuffer {
    return this.#words.buffer;
  }

  allocate(versionId: string): LedgerEntry {
    const entry = this.#free.pop() ?? 0;
    if (entry !== 0) this.#words.set([...uuidWords(versionId), 0, 0, 0, 0], entry);
    return entry;
  }

  /** Nothing of it may be under way, nor begin later. */
  free(entry: LedgerEntry): void {
    if (entry === 0) return;
    this.#words.fill(0, entry, entry + ENTRY_WORDS);
    this.#free.push(entry);
  }

  begin(entry: LedgerEntry, cpuMs: number, nowMs: number): void {
    const words = this.#words;
    const order = ((words[BEGINS] as number) + 1) | 0;
    words[BEGINS] = order;
    if (entry === 0) return;
    words[entry + UNDER_WAY] = (words[entry + UNDER_WAY] as number) + 1;
    words[entry + LAST_BEGIN] = nowMs | 0;
    words[entry + ORDER] = order;
    words[entry + CPU_MS] = cpuMs;
  }

  /** Something began and ended that has no entry: what runs does make progress. */
  pass(): void {
    const words = this.#words;
    words[BEGINS] = ((words[BEGINS] as number) + 1) | 0;
    words[ENDS] = (words[ENDS] as number) + 1;
  }

  end(entry: LedgerEntry): void {
    const words = this.#words;
    words[ENDS] = (words[ENDS] as number) + 1;
    if (entry !== 0) words[entry + UNDER_WAY] = (words[entry + UNDER_WAY] as number) - 1;
  }
}
