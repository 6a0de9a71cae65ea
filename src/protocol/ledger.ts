/**
 * The ledger of a process that runs tenants' code: which versions it holds, how many invocations of each are
 * under way. Trusted code in the process keeps it in an ArrayBuffer, which costs a few integer stores per
 * invocation; the supervisor reads it from the outside through `/proc/PID/mem`, also while the process is stuck
 * in a tenant's endless loop and answers nothing. Tenants' isolates cannot reach it.
 *
 * The buffer is an array of little-endian 32-bit words:
 *
 *   0 .. 7       mark: the 32 bytes of the process's ledger key, each XOR LEDGER_MASK, so that the key in the
 *                process's configuration is not taken for the ledger
 *   BEGINS       invocations and loads begun in this process (wraps around)
 *   ENDS         those that have ended
 *   then LEDGER_ENTRIES entries of ENTRY_WORDS words each
 *
 * An entry: the version's UUID as four big-endian words (0: the entry is free), then
 *   UNDER_WAY    invocations and loads of it under way
 *   LAST_BEGIN   low 32 bits of the Unix time in milliseconds at which the latest began
 *   ORDER        value of BEGINS at that moment
 *   CPU_MS       what each of them may use
 */
export const LEDGER_MASK = 0x5a;
export const LEDGER_KEY_BYTES = 32;
export const BEGINS = 8;
export const ENDS = 9;
export const HEADER_WORDS = 16;
export const ENTRY_WORDS = 8;
export const LEDGER_ENTRIES = 4096;
export const LEDGER_BYTES = 4 * (HEADER_WORDS + ENTRY_WORDS * LEDGER_ENTRIES);

/** Words of an entry, after the four of the UUID. */
export const UNDER_WAY = 4;
export const LAST_BEGIN = 5;
export const ORDER = 6;
export const CPU_MS = 7;

/** A marker line on a cell's standard output: MARKER, the isolate's secret token, line end. */
export const MARKER = "\u0001skep ";
/**
 * Announces a token, from trusted code: ANNOUNCEMENT, the process's ledger key in hex, a space, the token, a
 * space, the version. Tokens are 32 hex digits.
 */
export const ANNOUNCEMENT = "\u0001skep+ ";

export function uuidWords(uuid: string): [number, number, number, number] {
  const hex = uuid.replaceAll("-", "");
  const word = (index: number) => Number.parseInt(hex.slice(8 * index, 8 * index + 8), 16) | 0;
  return [word(0), word(1), word(2), word(3)];
}

export function wordsUuid(words: readonly number[]): string {
  const hex = words.map((word) => (word >>> 0).toString(16).padStart(8, "0")).join("");
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`;
}
