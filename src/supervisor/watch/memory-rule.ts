/**
 * When a process has too much memory, and who made it grow. What the memory of a process grows by between two
 * looks is spread over the versions that were under way; nothing better can be seen from the outside. Pure.
 */
import { NOBODY, type Blame } from "./blame.ts";
import type { LedgerEntry } from "./ledger-reader.ts";

const MIB = 2 ** 20;
/**
 * The runtime keeps about 10 KB of each request until it collects garbage, which it does late: a process that
 * answered `hello` 40,000 times had 320 MiB more, and then stayed there. Nobody is to blame for that.
 */
const GARBAGE_PER_BEGIN_BYTES = 16 * 1024;
const MAX_GARBAGE_BYTES = 32 * MIB;
/** So much of it, and of the runtime itself, a single version's process may have on top when it leaps, */
const LEAP_HEADROOM_BYTES = 128 * MIB;
/** so much in the long run, */
const HEADROOM_BYTES = 384 * MIB;
/** and so much more until it is not left to drain. */
const MIN_EXCESS_BYTES = 256 * MIB;
/** No honest function with a small limit grows by more in a moment. */
const MIN_LEAP_BYTES = 128 * MIB;
/**
 * As much growth in a moment is a bomb: four times the usual limit of a function. The runtime aborts a process
 * at about 1.4 GB of one isolate's heap, and a bomb gets there within seconds.
 */
const BOMB_BYTES = 512 * MIB;
const MOMENT_MS = 3000;
const LATELY_MS = 30_000;
/** What a newcomer may gather, if slowly: three times the usual limit of a function. */
export const HOARD_BYTES = 384 * MIB;
/** This much of the growth, held by as few as possible, is who is to blame. */
const MOST = 0.8;
const MAX_BLAMED = 8;
/** Whoever grew by less is not to blame: somebody's growth is always the last. */
const MIN_BLAMED_BYTES = 32 * MIB;
/** Of a process that was to be replaced and is still there. */
const KILL_FACTOR = 2;
const FORGOTTEN_BYTES = MIB / 16;
const MAX_REMEMBERED = 256;

/** Growth by version, which is forgotten by half every `halfLifeMs`. */
class Growth {
  readonly #halfLifeMs: number;
  readonly #bytes = new Map<string, number>();
  #atMs = 0;

  constructor(halfLifeMs: number) {
    this.#halfLifeMs = halfLifeMs;
  }

  /** Negative `bytes`: memory was given back, which all get their part of. */
  add(bytes: number, versions: readonly string[], nowMs: number): void {
    this.#fade(bytes, nowMs);
    if (bytes <= 0) return;
    for (const version of versions) {
      this.#bytes.set(version, (this.#bytes.get(version) ?? 0) + bytes / versions.length);
    }
  }

  /** Largest first. */
  shares(): { versionId: string; bytes: number }[] {
    return [...this.#bytes]
      .map(([versionId, bytes]) => ({ versionId, bytes }))
      .sort((a, b) => b.bytes - a.bytes);
  }

  #fade(givenBack: number, nowMs: number): void {
    let factor = 2 ** (-(nowMs - this.#atMs) / this.#halfLifeMs);
    this.#atMs = nowMs;
    if (givenBack < 0) {
      const total = factor * this.shares().reduce((sum, { bytes }) => sum + bytes, 0);
      factor *= total > -givenBack ? 1 + givenBack / total : 0;
    }
    const crowded = this.#bytes.size > MAX_REMEMBERED;
    for (const [version, bytes] of this.#bytes) {
      const left = bytes * factor;
      if (left === 0 || (crowded && left < FORGOTTEN_BYTES)) this.#bytes.delete(version);
      else this.#bytes.set(version, left);
    }
  }
}

/** Bytes; undefined: there is no such limit. */
export interface MemoryLimits {
  /** Of the whole process: replaced from there on. */
  readonly budget: number | undefined;
  /** On top of what the blank process had: of the only version in it. */
  readonly limit: number | undefined;
  /** Of what any one version lets it grow by: replaced from there on, and that version is to blame. */
  readonly hoard?: number | undefined;
}

export interface Bloat {
  readonly action: "kill" | "replace";
  readonly bytes: number;
  readonly limit: number;
  /** `nobody` if nobody stands out. */
  readonly blame: Blame;
}

export class MemoryRule {
  readonly #base: number;
  readonly #lately = new Growth(LATELY_MS);
  readonly #moment = new Growth(MOMENT_MS);
  #last: number;
  #lastBegins: number | undefined;
  #garbage = 0;
  #replaced = false;

  /** `base`: bytes that the process has before it runs tenants' code. */
  constructor(base: number) {
    this.#base = base;
    this.#last = base;
  }

  take(
    bytes: number,
    begins: number,
    entries: readonly LedgerEntry[],
    { budget, limit, hoard = Infinity }: MemoryLimits,
    nowMs: number,
  ): Bloat | undefined {
    const lastBegins = this.#lastBegins ?? begins;
    const active = activeSince(lastBegins, entries);
    const growth = this.#growth(bytes - this.#last, (begins - lastBegins) | 0);
    this.#lately.add(growth, active, nowMs);
    this.#moment.add(growth, active, nowMs);
    this.#last = bytes;
    this.#lastBegins = begins;

    if (limit !== undefined) return this.#judge(bytes, limit);
    if (budget === undefined) return undefined;
    const bomb = this.#bomb(entries);
    if (bomb !== undefined) return { action: "kill", bytes, limit: budget, blame: bomb };
    const [top] = this.#lately.shares();
    if (top !== undefined && top.bytes > hoard && !this.#replaced) {
      this.#replaced = true;
      const blame = { named: top.versionId, certain: false, involved: [top.versionId] };
      return { action: "replace", bytes, limit: this.#base + hoard, blame };
    }
    return this.#compare(bytes, budget, KILL_FACTOR * budget);
  }

  /** What is beyond the garbage of requests; negative: given back. */
  #growth(bytes: number, begun: number): number {
    const garbage = this.#garbage + GARBAGE_PER_BEGIN_BYTES * Math.max(0, begun);
    this.#garbage = Math.min(MAX_GARBAGE_BYTES, garbage);
    if (bytes <= 0) return bytes;
    const expected = Math.min(this.#garbage, bytes);
    this.#garbage -= expected;
    return bytes - expected;
  }

  /** With a single version in the process. */
  #judge(bytes: number, limit: number): Bloat | undefined {
    const allowed = this.#base + limit;
    const leap = this.#moment.shares().reduce((sum, share) => sum + share.bytes, 0);
    if (leap > Math.max(limit, MIN_LEAP_BYTES) && bytes > allowed + LEAP_HEADROOM_BYTES) {
      return { action: "kill", bytes, limit: allowed + LEAP_HEADROOM_BYTES, blame: this.blame() };
    }
    const most = allowed + HEADROOM_BYTES;
    return this.#compare(bytes, most, most + Math.max(limit, MIN_EXCESS_BYTES));
  }

  #compare(bytes: number, replaceOver: number, killOver: number): Bloat | undefined {
    if (bytes > killOver) return { action: "kill", bytes, limit: killOver, blame: this.blame() };
    if (bytes <= replaceOver || this.#replaced) return undefined;
    this.#replaced = true;
    return { action: "replace", bytes, limit: replaceOver, blame: this.blame() };
  }

  /** Those who hold most of the growth of late. */
  blame(): Blame {
    return blameOf(this.#lately.shares());
  }

  /** Those who made it grow just now, if it grew that much; else NOBODY. */
  blameForMoment(): Blame {
    return blameOf(this.#moment.shares(), BOMB_BYTES / 4);
  }

  /** A version that is under way and grows as no honest one does. */
  #bomb(entries: readonly LedgerEntry[]): Blame | undefined {
    const [top] = this.#moment.shares();
    if (top === undefined || top.bytes < BOMB_BYTES) return undefined;
    const isRunning = entries.some(
      ({ versionId, underWay }) => versionId === top.versionId && underWay > 0,
    );
    return isRunning ? blameOf(this.#moment.shares()) : undefined;
  }
}

function blameOf(
  shares: readonly { versionId: string; bytes: number }[],
  atLeast = MIN_BLAMED_BYTES,
): Blame {
  const total = shares.reduce((sum, { bytes }) => sum + bytes, 0);
  const [top] = shares;
  if (top === undefined || top.bytes < atLeast) return NOBODY;
  const involved: string[] = [];
  let held = 0;
  for (const { versionId, bytes } of shares) {
    if (held >= MOST * total || bytes < MIN_BLAMED_BYTES || involved.length === MAX_BLAMED) break;
    involved.push(versionId);
    held += bytes;
  }
  return { named: top.bytes >= MOST * total ? top.versionId : null, certain: false, involved };
}

/** Versions under way, or begun since `begins`; if there are none, the one that began last. */
function activeSince(begins: number, entries: readonly LedgerEntry[]): string[] {
  const active = entries.filter(
    ({ underWay, order }) => underWay > 0 || ((order - begins) | 0) > 0,
  );
  if (active.length > 0) return active.map(({ versionId }) => versionId);
  let latest: LedgerEntry | undefined;
  for (const entry of entries) {
    if (latest === undefined || ((entry.order - latest.order) | 0) > 0) latest = entry;
  }
  return latest === undefined ? [] : [latest.versionId];
}
