/** What befell processes lately, for those whose requests were lost there: the supervisor tells it a moment later. */
import type { Incident } from "../protocol/incident.ts";

/** The supervisor tells of an incident within a few milliseconds; after this long there was none. */
const WAIT_MS = 500;

/** Incidents are told to all edges, and most of them lost no request to it. */
const MAX_KEPT = 64;

/** `life`: the process that had the request, if known. */
export interface LossPlace {
  readonly process: Incident["process"];
  readonly index: number;
  readonly life: number | null | undefined;
}

interface Waiter {
  readonly place: LossPlace;
  readonly sinceMs: number;
  readonly resolve: (incident: Incident | undefined) => void;
}

export class IncidentLog {
  #incidents: Incident[] = [];
  #waiters: Waiter[] = [];

  accept(incident: Incident): void {
    // One that drains goes on answering what it was asked.
    if (!incident.killed) return;
    this.#incidents = [...this.#incidents.slice(1 - MAX_KEPT), incident];
    for (const { place, sinceMs, resolve } of this.#waiters) {
      if (isOf(incident, place, sinceMs)) resolve(incident);
    }
  }

  /**
   * Why requests there were lost, waiting for the news of it; undefined: nobody said. Of a process whose life is not
   * known the latest since `sinceMs` (Unix milliseconds).
   */
  async of(place: LossPlace, sinceMs: number): Promise<Incident | undefined> {
    const told = this.#incidents.findLast((incident) => isOf(incident, place, sinceMs));
    if (told !== undefined) return told;
    const { promise, resolve } = Promise.withResolvers<Incident | undefined>();
    const waiter: Waiter = { place, sinceMs, resolve };
    this.#waiters.push(waiter);
    const timer = setTimeout(() => resolve(undefined), WAIT_MS);
    try {
      return await promise;
    } finally {
      clearTimeout(timer);
      this.#waiters = this.#waiters.filter((other) => other !== waiter);
    }
  }
}

function isOf(incident: Incident, { process, index, life }: LossPlace, sinceMs: number): boolean {
  if (incident.process !== process || incident.index !== index) return false;
  return typeof life === "number" ? incident.life === life : incident.atMs >= sinceMs;
}
