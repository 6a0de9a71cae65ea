/**
 * What this edge knows of the cells: which process is behind each index, which versions it holds, which
 * dedicated cell a version has, what befell them. The supervisor tells lives and incidents, the hub assigns
 * dedicated cells; the rest this edge has seen for itself. All of it may be out of date, and whoever acts on it
 * must cope: a cell says `missing`, a dead one does not answer.
 */
import { homeOf } from "../namespace/home.ts";
import type { CellAssignment, CellNews, Incident } from "../protocol/incident.ts";
import type { CellCounts } from "../protocol/placement.ts";

/** The supervisor tells of an incident within a few milliseconds; after this long there was none. */
const INCIDENT_WAIT_MS = 500;

/** Incidents are told to all edges, and most of them lost no request to it. */
const MAX_INCIDENTS = 64;

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

interface Waiter extends CellRef {
  readonly sinceMs: number;
  readonly resolve: (incident: Incident | undefined) => void;
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
  #incidents: Incident[] = [];
  #waiters: Waiter[] = [];
  #newsWaiters: (() => void)[] = [];

  /** `assign` asks the hub for the dedicated cell of a version. */
  constructor(counts: CellCounts, assign: (versionId: string) => Promise<CellAssignment>) {
    this.#counts = counts;
    this.#assign = assign;
  }

  accept({ lives, incident }: CellNews): void {
    for (const [index, life] of lives.entries()) {
      if (life !== this.#lives[index]) this.#replaced(index, life);
    }
    this.#lives = lives;
    if (incident !== undefined) this.#acceptIncident(incident);
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

  /** Why the cell's requests were lost, waiting for the news of it; undefined: nobody said. */
  async incidentOf(cell: CellRef, sinceMs: number): Promise<Incident | undefined> {
    const told = this.#incidents.findLast((incident) => isOf(incident, cell, sinceMs));
    if (told !== undefined) return told;
    const { promise, resolve } = Promise.withResolvers<Incident | undefined>();
    const waiter: Waiter = { ...cell, sinceMs, resolve };
    this.#waiters.push(waiter);
    const timer = setTimeout(() => resolve(undefined), INCIDENT_WAIT_MS);
    try {
      return await promise;
    } finally {
      clearTimeout(timer);
      this.#waiters = this.#waiters.filter((other) => other !== waiter);
    }
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

  #acceptIncident(incident: Incident): void {
    // One that drains goes on answering what it was asked.
    if (incident.process !== "cell" || !incident.killed) return;
    this.#incidents = [...this.#incidents.slice(1 - MAX_INCIDENTS), incident];
    for (const waiter of this.#waiters) {
      if (isOf(incident, waiter, waiter.sinceMs)) waiter.resolve(incident);
    }
  }
}

function isOf(incident: Incident, { index, life }: CellRef, sinceMs: number): boolean {
  if (incident.index !== index) return false;
  return typeof life === "number" ? incident.life === life : incident.atMs >= sinceMs;
}
