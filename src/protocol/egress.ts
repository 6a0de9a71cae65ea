/**
 * What travels with a function's `fetch()`: from the gate of its isolate to the egress, and from there to an edge
 * if the request is for a function of ours. The gate removes what the function itself set under this name; the
 * egress lets it not out of the machine.
 */

/** JSON of `EgressCall`. */
export const EGRESS_HEADER = "x-skep-egress";

/** Which function asked. */
export interface EgressCall {
  readonly namespace: string;
  readonly script: string;
  /** The functions through which the call came, oldest first, this one last, as `<namespace>/<script>`. */
  readonly via: readonly string[];
}
