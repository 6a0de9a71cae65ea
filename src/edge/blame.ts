/**
 * What comes of a request that was lost with the process that ran it. The supervisor tells who hurt the process, as
 * far as it knows: that function's requests get its limit as an error, and those of the others are sent again, if
 * that can do no harm.
 */
import { LimitError, LostError } from "../protocol/dispatch-errors.ts";
import type { Incident } from "../protocol/incident.ts";
import type { Place } from "../protocol/placement.ts";
import type { ScriptEntry } from "../namespace/script-entry.ts";
import { optionsOf, type EdgeCall } from "./edge-call.ts";

/**
 * After the first loss a request that is not to blame is sent again at once. After the second it may be the one that
 * hurts, or lie beside it again; so it goes on only once the hub has given it a cell of its own.
 */
const MAX_LOSSES = 2;

/** The hub hears of an incident after the edges, and tells them what follows from it. */
const MOVE_WAIT_MS = 1_000;
const MOVE_POLL_MS = 10;

const IDEMPOTENT = new Set(["GET", "HEAD", "OPTIONS"]);

/** Whether running it twice does no harm, by its method. */
export function isRepeatable({ method, body }: Request): boolean {
  return IDEMPOTENT.has(method) && body === null;
}

export interface Loss {
  /** Undefined: nobody said what happened. */
  readonly incident: Incident | undefined;
  readonly mayRunAgain: boolean;
  /** How often this request was lost, this time included. */
  readonly losses: number;
  /** Where it ran: others of its kind are not to be hurt by it again. */
  readonly place: Place["kind"];
  /** `cell` or `edge`. */
  readonly process: Incident["process"];
  readonly cause: unknown;
}

/** Returns if the request may be sent again, to where its function lives now; else throws what its client gets. */
export async function settleLoss(call: EdgeCall, loss: Loss): Promise<void> {
  const { incident, mayRunAgain, losses, place, process, cause } = loss;
  const { versionId } = call.facts;
  const wasLostBefore = losses > 1;
  const isBlamed = isToBlame(incident, versionId, wasLostBefore);
  if (isBlamed && (incident.certain || incident.kind !== "cpu")) throw verdict(incident, call);
  const mayHurtAgain = isBlamed || isSuspect(incident, versionId) || wasLostBefore;
  if (mayRunAgain && losses <= MAX_LOSSES) {
    if (!mayHurtAgain || (await leaves(call.entry, place))) return;
  }
  if (isBlamed) throw verdict(incident, call);
  throw new LostError(`the ${process} that ran this request was lost`, { cause });
}

/**
 * A version that was the only one under way is not to blame for that alone: a neighbour may have spun in its
 * background work, which nobody counts. Twice in a row it is no accident. Even one that is named may be such a
 * bystander; but the named one soon gets a cell of its own, where its request shows who it is.
 */
function isToBlame(
  incident: Incident | undefined,
  versionId: string,
  wasLostBefore: boolean,
): incident is Incident {
  if (incident === undefined) return false;
  const { named, involved } = incident;
  const wasAlone = named === null && involved.length === 1 && involved[0] === versionId;
  return named === versionId || (wasAlone && wasLostBefore);
}

/** Nobody knows who did it, so all that were under way get cells of their own. */
function isSuspect(incident: Incident | undefined, versionId: string): boolean {
  return incident?.named === null && incident.involved.includes(versionId);
}

/** Waits for the hub to move the function to a cell of its own, where it may be already; false: it did not. */
async function leaves(entry: ScriptEntry, shared: Place["kind"]): Promise<boolean> {
  if (shared === "dedicated") return true;
  const deadlineMs = Date.now() + MOVE_WAIT_MS;
  while (entry.place === shared && Date.now() < deadlineMs) await scheduler.wait(MOVE_POLL_MS);
  return entry.place !== shared;
}

function verdict({ kind }: Incident, { entry, dispatch, via }: EdgeCall): Error {
  const { cpuMs } = optionsOf(entry, dispatch, via).limits;
  // It convicted itself, and is refused for a second at least.
  const retryAfterSeconds = entry.place === "dedicated" ? 1 : undefined;
  switch (kind) {
    case "cpu":
      return new LimitError(
        "exceededCpu",
        `Worker exceeded CPU time limit. It is cpu_ms = ${cpuMs}; use less CPU time or raise that limit`,
        retryAfterSeconds,
      );
    case "memory":
      return new LimitError(
        "exceededMemory",
        `Worker exceeded memory limit. It is memory_mb = ${entry.limits.memory_mb}; use less memory or raise that limit`,
        retryAfterSeconds,
      );
    case "crash":
      return new LostError("the function's process ended");
  }
}
