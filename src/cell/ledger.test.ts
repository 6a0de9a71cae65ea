import { describe, expect, it } from "vitest";
import {
  BEGINS,
  CPU_MS,
  ENDS,
  ENTRY_WORDS,
  HEADER_WORDS,
  LAST_BEGIN,
  LEDGER_ENTRIES,
  LEDGER_KEY_BYTES,
  LEDGER_MASK,
  ORDER,
  UNDER_WAY,
  wordsUuid,
} from "../protocol/ledger.ts";
import { Ledger } from "./ledger.ts";

const A = "f81d4fae-7dec-41d0-a765-00a0c91e6bf6";
const B = "00000001-0000-4000-8000-ffffffffffff";
const NOW = 1_795_451_016_026;

function words(ledger: Ledger): Int32Array {
  return new Int32Array(ledger.buffer);
}

describe("a ledger", () => {
  it("begins with the masked key, so that the key itself stands nowhere in it", () => {
    const key = Array.from({ length: LEDGER_KEY_BYTES }, (_, at) => (at * 37 + 11) & 0xff);
    const hex = key.map((byte) => byte.toString(16).padStart(2, "0")).join("");
    const mark = new Uint8Array(new Ledger(hex).buffer, 0, LEDGER_KEY_BYTES);
    expect([...mark]).toEqual(key.map((byte) => byte ^ LEDGER_MASK));
  });

  it("carries no mark without a key", () => {
    expect(words(new Ledger()).every((word) => word === 0)).toBe(true);
  });

  it("names the version of an entry", () => {
    const ledger = new Ledger();
    const entry = ledger.allocate(A);
    expect(wordsUuid([...words(ledger).subarray(entry, entry + 4)])).toBe(A);
    expect((entry - HEADER_WORDS) % ENTRY_WORDS).toBe(0);
  });

  it("tells how much is under way, since when, in which order, and what each may use", () => {
    const ledger = new Ledger();
    const [a, b] = [ledger.allocate(A), ledger.allocate(B)];
    ledger.begin(a, 50, NOW);
    ledger.begin(b, 400, NOW + 1);
    ledger.begin(a, 60, NOW + 2);
    ledger.end(b);
    const all = words(ledger);
    expect([all[BEGINS], all[ENDS]]).toEqual([3, 1]);
    expect([all[a + UNDER_WAY], all[a + ORDER], all[a + CPU_MS]]).toEqual([2, 3, 60]);
    expect((all[a + LAST_BEGIN] ?? 0) >>> 0).toBe((NOW + 2) % 2 ** 32);
    expect([all[b + UNDER_WAY], all[b + ORDER], all[b + CPU_MS]]).toEqual([0, 2, 400]);
  });

  it("clears an entry that is freed, and gives it out again", () => {
    const ledger = new Ledger();
    const entry = ledger.allocate(A);
    ledger.begin(entry, 50, NOW);
    ledger.end(entry);
    ledger.free(entry);
    expect(
      words(ledger)
        .subarray(HEADER_WORDS)
        .every((word) => word === 0),
    ).toBe(true);
    expect(ledger.allocate(B)).toBe(entry);
  });

  it("counts the totals of versions for which no entry is left", () => {
    const ledger = new Ledger();
    for (let entries = 0; entries < LEDGER_ENTRIES; entries++) ledger.allocate(A);
    const before = words(ledger).slice(HEADER_WORDS);
    const none = ledger.allocate(B);
    ledger.begin(none, 50, NOW);
    ledger.end(none);
    ledger.free(none);
    expect(words(ledger).slice(HEADER_WORDS)).toEqual(before);
    expect([words(ledger)[BEGINS], words(ledger)[ENDS]]).toEqual([1, 1]);
  });

  it("wraps around after 2^32 invocations", () => {
    const ledger = new Ledger();
    const entry = ledger.allocate(A);
    words(ledger)[BEGINS] = -1;
    ledger.begin(entry, 50, NOW);
    expect(words(ledger)[BEGINS]).toBe(0);
    words(ledger)[BEGINS] = 0x7fffffff;
    ledger.begin(entry, 50, NOW);
    expect(words(ledger)[BEGINS]).toBe(-0x80000000);
  });
});
