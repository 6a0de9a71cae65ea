/**
 * What happened to processes that run tenants' code: counts it, says it in one line, and tells the hub, which
 * draws the consequences, as soon as it takes it.
 */
import { setTimeout as sleep } from "node:timers/promises";
import type { ProcessCounters } from "../protocol/hub.ts";
import type { Incident } from "../protocol/incident.ts";

export interface IncidentsOptions {
  /** Resolves once the hub has taken it. */
  readonly deliver: (incident: Incident) => Promise<unknown>;
  readonly log: (line: string) => void;
}

/** A hub that is gone for long must not cost all memory here; its Registry treats all incidents alike. */
const MAX_PENDING = 1000;
const FIRST_PAUSE_MS = 50;
const LONGEST_PAUSE_MS = 2000;
/** Names of versions in a log line. */
const NAMED_IN_LOG = 8;

export class Incidents {
  readonly #options: IncidentsOptions;
  readonly #counts: Record<string, number> = {};
  #pending = 0;
  #stopped = false;

  constructor(options: IncidentsOptions) {
    this.#options = options;
  }

  /** By `<process>:<kind>`. */
  get counts(): ProcessCounters["incidents"] {
    return this.#counts;
  }

  report(incident: Incident): void {
    const key = `${incident.process}:${incident.kind}`;
    this.#counts[key] = (this.#counts[key] ?? 0) + 1;
    this.#options.log(describeIncident(incident));
    // What ended a trial is the answer to whoever had asked for it.
    if (incident.process !== "trial") void this.#deliver(incident);
  }

  stop(): void {
    this.#stopped = true;
  }

  async #deliver(incident: Incident): Promise<void> {
    if (this.#pending >= MAX_PENDING) {
      this.#options.log(`the hub is not told of ${describeIncident(incident)}: too many wait`);
      return;
    }
    this.#pending++;
    let pauseMs = FIRST_PAUSE_MS;
    while (!this.#stopped) {
      try {
        await this.#options.deliver(incident);
        break;
      } catch (error) {
        if (pauseMs === LONGEST_PAUSE_MS) {
          this.#options.log(`the hub did not take an incident: ${String(error)}`);
        }
        await sleep(pauseMs, undefined, { ref: false });
        pauseMs = Math.min(2 * pauseMs, LONGEST_PAUSE_MS);
      }
    }
    this.#pending--;
  }
}

function describeIncident(incident: Incident): string {
  const { process, index, life, kind, killed, named, certain, involved, detail } = incident;
  const what = killed ? (kind === "crash" ? "ended by itself" : "was killed") : "is replaced";
  const others = involved.filter((version) => version !== named);
  const who = [
    ...(named === null ? [] : [`${certain ? "because of" : "probably because of"} ${named}`]),
    ...(others.length === 0 ? [] : [`${named === null ? "in it" : "also in it"} ${list(others)}`]),
  ];
  const place = process === "trial" ? "trial cell" : `${process} ${index}`;
  return [`${place} (life ${life}) ${what}: ${kind}, ${detail}`, ...who].join("; ");
}

function list(versions: readonly string[]): string {
  const shown = versions.slice(0, NAMED_IN_LOG).join(", ");
  const more = versions.length - NAMED_IN_LOG;
  return more > 0 ? `${shown} and ${more} more` : shown;
}
