/**
 * What befalls processes that run tenants' code, and who is held responsible: made by the supervisor, which
 * watches and kills; told to the edges at once, so that they know what became of the requests they had there,
 * and to the hub, which draws the consequences.
 */
import type { ObjectHome } from "./objects.ts";
import type { OutboundWorker } from "./outbound.ts";

export type IncidentKind =
  /** Killed: it used more CPU time without progress than the limits of all that ran there add up to. */
  | "cpu"
  /** Killed or replaced: it had more memory than it may have. */
  | "memory"
  /** It ended by itself, for whatever reason, tenants' code being in it; or it answered nobody for 10 s. */
  | "crash";

export interface Incident {
  readonly kind: IncidentKind;
  /** Unix milliseconds. */
  readonly atMs: number;
  readonly process: "edge" | "cell" | "trial";
  /** Index of the edge or cell. */
  readonly index: number;
  readonly life: number;
  /** True: its requests under way were lost. False: it drains, and they finish. */
  readonly killed: boolean;
  /** Version that was executing, as far as can be told; null: it cannot be. */
  readonly named: string | null;
  /** True: nothing else ran in the process, so it must have been `named`. */
  readonly certain: boolean;
  /** Versions that were under way in the process, or used lately if none was; with `named`. */
  readonly involved: readonly string[];
  /** For people: figures of the moment, such as `212 ms of CPU without progress, 3 invocations under way`. */
  readonly detail: string;
}

/** `POST /cells`, supervisor -> edge: the cells as they are now, and what happened to one of them. */
export interface CellNews {
  /** Life of the process behind each cell index; null: there is none. */
  readonly lives: readonly (number | null)[];
  readonly incident?: Incident;
}

/** `POST /cells/assign`, hub -> supervisor. */
export interface CellRequest {
  readonly versionId: string;
  /** Whose version it is. */
  readonly namespace: string;
  readonly script: string;
  readonly memoryMb: number;
  readonly cpuMs: number;
  /** It has hurt a process, or is suspected of it. */
  readonly isMistrusted: boolean;
  /** It gets no traffic of its script, and is called by the name of its preview only. */
  readonly isPreview: boolean;
  /** The cell is a stateful one: no two of one script may run at once. */
  readonly objects?: ObjectHome;
  /** Of an invocation. */
  readonly subrequests: number;
  /** Of the namespace; absent: none. */
  readonly outbound?: OutboundWorker;
}

export interface CellAssignment {
  readonly index: number;
  readonly life: number;
}
