/**
 * Where a version's invocations run, and why. The hub decides (trust is earned, and lost), edges obey, the
 * supervisor holds the cells.
 *
 * A new version is on probation: in a cell behind a hop, which can be killed and its GETs repeated. After a
 * run of clean invocations it is proven and lives in the edges. Whoever may have stalled or bloated a process is
 * a suspect and has a dedicated cell, in which it either returns to the proven or convicts itself.
 */

/** `shared`: trust is earned. `trusted`: no probation, until there was an incident. `dedicated`: never in an edge. */
export const ISOLATIONS = ["shared", "trusted", "dedicated"] as const;
export type Isolation = (typeof ISOLATIONS)[number];

export const TRUSTS = ["probation", "proven", "suspect", "convicted"] as const;
export type Trust = (typeof TRUSTS)[number];

export type PlaceKind = "edge" | "probation" | "dedicated";

export interface Place {
  readonly kind: PlaceKind;
  /** For people: `new version`, `proven by 100 clean invocations`, `stalled cell 1 at 12:03:01`. */
  readonly why: string;
  /**
   * Unix time in milliseconds until which every invocation is refused at once (error 1102), because the
   * version was convicted again; 0: it is not.
   */
  readonly refusedUntilMs: number;
}

/** Dedicated cells come after the probation cells in the numbering of cells. */
export interface CellCounts {
  readonly probation: number;
  /** All cell indexes, 0 <= index < total; those from `probation` on are for dedicated cells. */
  readonly total: number;
}
