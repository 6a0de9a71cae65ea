/**
 * What this edge knows of the cells: which process is behind each index, which versions it holds, which
 * dedicated cell a version has. The supervisor tells lives, the hub assigns dedicated cells; the rest this edge has seen for itself. All of it may be out of date, and whoever acts on it
 * must cope: a cell says `missing`, a dead one does not answer.
 */
import { homeOf } from "../namespace/home.ts";
import type { CellAssignment, CellNews } from "../protocol/incident.ts";
import type { CellCounts } from "../protocol/placement.ts";

/** A cell may have ended the isolate since: requests that cannot be sent twice ask first after this long. */
const FRESH_MS = 10_000;

/** The runtime keeps connections for later; it notices those that were closed when it next has a moment. */
const NEW_MS = 1_000;

/** Versions beyond this many are forgotten all at once, and asked for again. */
const MAX_SEEN = 10_000;

/** A cell as it was when a request went there. `life` undefined: nobody has told yet. */
export interface CellRef {
  readonly index: number;
  readonly life: number | null | undefined;
}

export class Cells {
  readonly #counts: CellCounts;
  readonly #assign: (versionId: string) => Promise<CellAssignment>;
  #lives: CellNews["lives"] = [];
  readonly #assignments = new Map<string, CellAssignment>();
  /** Per cell index: when an isolate was last seen there. */
  #seen: Map<string, number>[] = [];
  /** Per cell index: when its process was last replaced. */
  readonly #replacedMs: number[] = [];
  #newsWaiters: (() => void)[] = [];

  /** `assign` asks the hub for the dedicated cell of a version. */
  constructor(counts: CellCounts, assign: (versionId: string) => Promise<CellAssignment>) {
    this.#counts = counts;
    this.#assign = assign;
  }

  accept({ lives }: CellNews): void {
    for (const [index, life] of lives.entries()) {
      if (life !== this.#lives[index]) this.#replaced(index, life);
    }
    this.#lives = lives;
    const waiters = this.#newsWaiters;
    this.#newsWaiters = [];
    for (const resolve of waiters) resolve();
  }

  probation(versionId: string): CellRef {
    const index = homeOf(versionId, this.#counts.probation);
    return { index, life: this.#lives[index] };
  }

  /** Rejects with what `assign` does. */
  async dedicated(versionId: string): Promise<CellRef> {
    const known = this.#assignments.get(versionId);
    if (known !== undefined) return known;
    const assignment = await this.#assign(versionId);
    if (this.#assignments.size >= MAX_SEEN) this.#assignments.clear();
    this.#assignments.set(versionId, assignment);
    return assignment;
  }

  /** The version did not answer there: the hub is asked again. */
  forgetAssignment(versionId: string, { life }: CellRef): void {
    if (this.#assignments.get(versionId)?.life === life) this.#assignments.delete(versionId);
  }

  /** The isolate is there, as of `nowMs`. */
  saw(id: string, { index }: CellRef, nowMs: number): void {
    const seen = (this.#seen[index] ??= new Map<string, number>());
    if (seen.size >= MAX_SEEN && !seen.has(id)) seen.clear();
    seen.set(id, nowMs);
  }

  /** Whether a request that cannot be sent twice may go there unasked. */
  isFresh(id: string, { index }: CellRef, nowMs: number): boolean {
    return nowMs - (this.#seen[index]?.get(id) ?? 0) < FRESH_MS;
  }

  /** Resolves at the next news of cells, or after `timeoutMs`. */
  async news(timeoutMs: number): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#newsWaiters.push(resolve);
    const timer = setTimeout(resolve, timeoutMs);
    await promise;
    clearTimeout(timer);
  }

  /** A connection to the process that was there before may have been used by mistake. */
  isNew({ index }: CellRef, nowMs: number): boolean {
    return nowMs - (this.#replacedMs[index] ?? 0) < NEW_MS;
  }

  #replaced(index: number, life: number | null): void {
    this.#replacedMs[index] = Date.now();
    this.#seen[index] = new Map();
    for (const [versionId, assignment] of this.#assignments) {
      // An assignment may be newer than the news.
      if (assignment.index === index && assignment.life !== life) {
        this.#assignments.delete(versionId);
      }
    }
  }
}
