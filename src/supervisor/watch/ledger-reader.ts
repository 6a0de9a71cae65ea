/**
 * Reads the ledger of another process (protocol/ledger.ts) out of its memory, without that process's help: it may
 * be stuck. Where the system does not allow that, there is no ledger and the caller knows less.
 */
import { closeSync, openSync, readFileSync, readSync } from "node:fs";
import { setImmediate as nextTurn } from "node:timers/promises";
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
  wordsUuid,
} from "../../protocol/ledger.ts";

export interface LedgerEntry {
  readonly versionId: string;
  readonly underWay: number;
  /** Low 32 bits of Unix milliseconds, unsigned. */
  readonly lastBegin: number;
  /** Value of `begins` when the latest of it began. */
  readonly order: number;
  readonly cpuMs: number;
}

const CHUNK_BYTES = 1 << 20;
/** A fresh process has a few tens of MiB of writable memory; one that has much more is not worth the time. */
const MAX_SCANNED_BYTES = 1 << 30;
/** How long one slice of the search may keep the supervisor from its other work. */
const SLICE_MS = 3;
/** Entries are taken from the front, freed ones again: a run of free ones this long is the end. */
const FREE_RUN = 32;

export class LedgerReader {
  readonly #fd: number;
  readonly #position: bigint;
  readonly #words: Int32Array;
  readonly #bytes: Uint8Array;
  /** Names of the versions by index of the entry, since making them costs more than comparing words. */
  readonly #names: { words: [number, number, number, number]; versionId: string }[] = [];
  #used = FREE_RUN;

  constructor(fd: number, position: bigint) {
    this.#fd = fd;
    this.#position = position;
    this.#words = new Int32Array(LEDGER_BYTES / 4);
    this.#bytes = new Uint8Array(this.#words.buffer);
  }

  /** As of the last read. */
  get begins(): number {
    return this.#words[BEGINS] ?? 0;
  }

  get ends(): number {
    return this.#words[ENDS] ?? 0;
  }

  /** Entries in use; those of the last read if the process is gone. */
  readEntries(): LedgerEntry[] {
    for (;;) {
      const bytes = 4 * (HEADER_WORDS + ENTRY_WORDS * this.#used);
      readSync(this.#fd, this.#bytes, 0, bytes, this.#position);
      if (this.#used >= LEDGER_ENTRIES || this.#endIsFree()) break;
      this.#used = Math.min(LEDGER_ENTRIES, 2 * this.#used);
    }
    const entries: LedgerEntry[] = [];
    for (let index = 0; index < this.#used; index++) {
      const at = HEADER_WORDS + ENTRY_WORDS * index;
      const versionId = this.#nameAt(index, at);
      if (versionId === undefined) continue;
      entries.push({
        versionId,
        underWay: this.#word(at + UNDER_WAY),
        lastBegin: this.#word(at + LAST_BEGIN) >>> 0,
        order: this.#word(at + ORDER),
        cpuMs: this.#word(at + CPU_MS),
      });
    }
    return entries;
  }

  close(): void {
    closeSync(this.#fd);
  }

  #word(index: number): number {
    return this.#words[index] ?? 0;
  }

  #endIsFree(): boolean {
    const end = HEADER_WORDS + ENTRY_WORDS * this.#used;
    for (let at = end - ENTRY_WORDS * FREE_RUN; at < end; at += ENTRY_WORDS) {
      if (this.#isTaken(at)) return false;
    }
    return true;
  }

  #isTaken(at: number): boolean {
    return (this.#word(at) | this.#word(at + 1) | this.#word(at + 2) | this.#word(at + 3)) !== 0;
  }

  #nameAt(index: number, at: number): string | undefined {
    if (!this.#isTaken(at)) return undefined;
    const known = this.#names[index];
    if (known?.words.every((word, offset) => word === this.#words[at + offset])) {
      return known.versionId;
    }
    const words: [number, number, number, number] = [
      this.#word(at),
      this.#word(at + 1),
      this.#word(at + 2),
      this.#word(at + 3),
    ];
    const versionId = wordsUuid(words);
    this.#names[index] = { words, versionId };
    return versionId;
  }
}

/**
 * undefined: not there (yet), or the process may not be looked into. `key` in hex.
 */
export async function findLedger(pid: number, key: string): Promise<LedgerReader | undefined> {
  const mark = Buffer.from(key, "hex").map((byte) => byte ^ LEDGER_MASK);
  if (mark.length !== LEDGER_KEY_BYTES) return undefined;
  let fd: number;
  let maps: string;
  try {
    fd = openSync(`/proc/${pid}/mem`, "r");
  } catch {
    // Gone, or not ours to read.
    return undefined;
  }
  try {
    maps = readFileSync(`/proc/${pid}/maps`, "latin1");
    const position = await search(fd, writableRanges(maps), Buffer.from(mark));
    if (position !== undefined) return new LedgerReader(fd, position);
  } catch {
    // Gone meanwhile, or its memory is closed to us.
  }
  closeSync(fd);
  return undefined;
}

interface Range {
  readonly start: bigint;
  readonly bytes: number;
}

/** Private anonymous memory, the smaller ranges first: the ledger is in a heap, never in a huge reservation. */
function writableRanges(maps: string): Range[] {
  const ranges: Range[] = [];
  for (const line of maps.split("\n")) {
    const match = /^([0-9a-f]+)-([0-9a-f]+) rw-p \S+ \S+ 0\s/.exec(line);
    if (match === null) continue;
    const start = BigInt(`0x${match[1]}`);
    ranges.push({ start, bytes: Number(BigInt(`0x${match[2]}`) - start) });
  }
  return ranges.sort((a, b) => a.bytes - b.bytes);
}

async function search(fd: number, ranges: Range[], mark: Buffer): Promise<bigint | undefined> {
  const chunk = Buffer.alloc(CHUNK_BYTES + LEDGER_KEY_BYTES);
  let scanned = 0;
  let sliceEnd = performance.now() + SLICE_MS;
  for (const { start, bytes } of ranges) {
    for (let offset = 0; offset < bytes; offset += CHUNK_BYTES) {
      const from = start + BigInt(offset);
      const read = readSome(fd, chunk, Math.min(chunk.length, bytes - offset), from);
      if (read === 0) break;
      const found = chunk.subarray(0, read).indexOf(mark);
      if (found >= 0 && isLedger(fd, from + BigInt(found))) return from + BigInt(found);
      scanned += read;
      if (scanned > MAX_SCANNED_BYTES) return undefined;
      if (performance.now() > sliceEnd) {
        await nextTurn();
        sliceEnd = performance.now() + SLICE_MS;
      }
    }
  }
  return undefined;
}

/** 0: nothing can be read there. */
function readSome(fd: number, into: Uint8Array, bytes: number, from: bigint): number {
  try {
    return readSync(fd, into, 0, bytes, from);
  } catch {
    return 0;
  }
}

/** All of it is there, and what the format leaves unused is. */
function isLedger(fd: number, position: bigint): boolean {
  const words = new Int32Array(LEDGER_BYTES / 4);
  if (readSome(fd, new Uint8Array(words.buffer), LEDGER_BYTES, position) < LEDGER_BYTES)
    return false;
  return words.subarray(ENDS + 1, HEADER_WORDS).every((word) => word === 0);
}
