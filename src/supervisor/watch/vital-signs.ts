/**
 * What the kernel tells about a process, through descriptors that stay open: they keep meaning this process even
 * if its number is used again. Reading one takes a few microseconds. Every reading throws once the process is gone.
 */
import { closeSync, openSync, readFileSync, readSync } from "node:fs";

const AT_PAGESZ = 6n;
const FALLBACK_PAGE_BYTES = 4096;
const NEWLINE = 10;
const ZERO = 48;
/** `rchar`, `wchar`, `syscr`, `syscw` in turn; what follows counts blocks, which swapping moves too. */
const IO_LINES = 4;

export class VitalSigns {
  /** Change with every read and every write of the main thread, as of `readIo`; 0 if this may not be known. */
  reads = 0;
  writes = 0;
  readonly #clock: number;
  readonly #io: number | undefined;
  readonly #memory: number;
  readonly #buffer = Buffer.alloc(256);

  /** JavaScript runs on the main thread, whose id is the process's. @throws if the process is gone. */
  constructor(pid: number) {
    this.#clock = openSync(`/proc/${pid}/task/${pid}/schedstat`, "r");
    this.#io = openIfAllowed(`/proc/${pid}/task/${pid}/io`);
    this.#memory = openSync(`/proc/${pid}/statm`, "r");
  }

  /** CPU time of the main thread in milliseconds. */
  cpuMs(): number {
    this.#read(this.#clock);
    return this.#number(0) / 1e6;
  }

  readIo(): void {
    if (this.#io === undefined) return;
    const bytes = this.#read(this.#io);
    const sums = [0, 0];
    let line = 0;
    let value = 0;
    for (let at = 0; at < bytes && line < IO_LINES; at++) {
      const code = this.#buffer[at] ?? 0;
      if (code === NEWLINE) {
        sums[line % 2] = (sums[line % 2] ?? 0) + value;
        value = 0;
        line++;
      } else if (code >= ZERO && code <= ZERO + 9) {
        value = 10 * value + code - ZERO;
      }
    }
    [this.reads = 0, this.writes = 0] = sums;
  }

  /** Resident memory of the whole process. */
  memoryBytes(): number {
    this.#read(this.#memory);
    return this.#number(this.#buffer.indexOf(" ") + 1) * pageBytes();
  }

  close(): void {
    closeSync(this.#clock);
    closeSync(this.#memory);
    if (this.#io !== undefined) closeSync(this.#io);
  }

  #read(fd: number): number {
    const bytes = readSync(fd, this.#buffer, 0, this.#buffer.length, 0);
    if (bytes === 0) throw new Error("the process is gone");
    return bytes;
  }

  #number(from: number): number {
    let value = 0;
    for (let at = from; ; at++) {
      const digit = (this.#buffer[at] ?? 0) - ZERO;
      if (digit < 0 || digit > 9) return value;
      value = 10 * value + digit;
    }
  }
}

function openIfAllowed(path: string): number | undefined {
  try {
    const fd = openSync(path, "r");
    // Whether one may read it is decided when one does.
    readSync(fd, Buffer.alloc(1), 0, 1, 0);
    return fd;
  } catch {
    return undefined;
  }
}

let knownPageBytes: number | undefined;

function pageBytes(): number {
  knownPageBytes ??= readPageBytes();
  return knownPageBytes;
}

/** From the vector that the kernel hands every process: pairs of words, key and value. */
function readPageBytes(): number {
  const bytes = readFileSync("/proc/self/auxv");
  for (let at = 0; at + 16 <= bytes.length; at += 16) {
    if (bytes.readBigUInt64LE(at) === AT_PAGESZ) return Number(bytes.readBigUInt64LE(at + 8));
  }
  return FALLBACK_PAGE_BYTES;
}
