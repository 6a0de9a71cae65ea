/**
 * Who may be to blame for what happened to a process. Pure.
 *
 * An invocation is under way until the head of its response is there. Its body and its `waitUntil` work go on
 * after that, uncounted; so whoever is under way alone may still be a neighbour of the one who hangs.
 */
import type { LedgerEntry } from "./ledger-reader.ts";

/** The fields are those of an Incident. */
export interface Blame {
  readonly named: string | null;
  readonly certain: boolean;
  readonly involved: readonly string[];
}

export const NOBODY: Blame = { named: null, certain: false, involved: [] };

/** A head may take 30 s, and `waitUntil` work as long again. */
const LATELY_MS = 60_000;

export interface Circumstances {
  /** Version whose handler started last, if that is known. Another's may have gone on after an `await` since. */
  readonly lastStarted: string | null;
  /** Unix milliseconds. */
  readonly nowMs: number;
  /** Blaming those under way has not helped: all that began lately are involved as well. */
  readonly isRepeated: boolean;
}

export function onlyOne(versionId: string): Blame {
  return { named: versionId, certain: true, involved: [versionId] };
}

/** For a process that is stuck or has crashed. */
export function blameForStall(
  entries: readonly LedgerEntry[],
  { lastStarted, nowMs, isRepeated }: Circumstances,
): Blame {
  const underWay = versionsOf(entries.filter((entry) => entry.underWay > 0));
  const lately = versionsOf(entries.filter((entry) => beganLately(entry, nowMs)));
  const suspects = underWay.length > 0 ? underWay : lately;
  const involved = new Set(suspects);
  if (isRepeated) for (const versionId of lately) involved.add(versionId);
  const started = lastStarted !== null && lately.includes(lastStarted) ? lastStarted : null;
  if (started !== null) involved.add(started);
  const [only = null] = suspects;
  const named = suspects.length === 1 && (started ?? only) === only ? only : started;
  const isSuspect = named !== null && suspects.includes(named);
  return {
    named: isSuspect ? named : null,
    certain: isSuspect && versionsOf(entries).length === 1,
    involved: [...involved],
  };
}

/** The one that began last comes first. */
function versionsOf(entries: readonly LedgerEntry[]): string[] {
  const ordered = entries.toSorted((a, b) => (b.order - a.order) | 0);
  return [...new Set(ordered.map(({ versionId }) => versionId))];
}

/** `lastBegin` is the low 32 bits of a time, and so is the difference. */
function beganLately({ lastBegin }: LedgerEntry, nowMs: number): boolean {
  return ((nowMs | 0) - lastBegin) >>> 0 <= LATELY_MS;
}

/**
 * Stalls that nobody was found guilty of. Who stalls edges in work that nobody counts is never among those under
 * way; blaming these again and again would not help.
 */
export class UnexplainedStalls {
  #stalls: { readonly atMs: number; readonly involved: readonly string[] }[] = [];

  /** Whether the next one would be the third in ten minutes. */
  isRepeated(nowMs: number): boolean {
    return this.#stalls.filter(({ atMs }) => nowMs - atMs <= REPEATED_MS).length >= TIMES - 1;
  }

  note(nowMs: number, involved: readonly string[]): void {
    this.#stalls = [...this.#stalls.slice(1 - TIMES), { atMs: nowMs, involved }];
  }

  /** The version has done it again where it was alone. */
  explain(versionId: string): void {
    this.#stalls = this.#stalls.filter(({ involved }) => !involved.includes(versionId));
  }
}

const TIMES = 3;
const REPEATED_MS = 10 * 60 * 1000;
