/**
 * One script as an edge holds it: the state that holds, what follows from that for every invocation, and how
 * much of it is going on here. Made once per script, so that a request looks it up once.
 */
import { DEFAULT_PLATFORM_LIMITS, type Limits } from "../protocol/limits.ts";
import type { InvocationLimits } from "../protocol/hop.ts";
import type { OutboundWorker } from "../protocol/outbound.ts";
import type { PlaceKind } from "../protocol/placement.ts";
import type { ScriptState } from "../protocol/routing.ts";

/** Shared by the entries of a namespace. */
export interface NamespaceUsage {
  /** Invocations whose response head is still to come. */
  underWay: number;
}

export class ScriptEntry {
  readonly namespaceUsage: NamespaceUsage;
  underWay = 0;
  /** The token bucket of requests_per_second (src/edge/admission.ts). */
  tokens = 0;
  tokensAtMs = 0;

  state!: ScriptState;
  place!: PlaceKind;
  limits!: Limits;
  outbound: OutboundWorker | undefined;
  /** What an invocation gets if its caller asks for nothing else. */
  options!: {
    readonly props: undefined;
    readonly limits: InvocationLimits;
    readonly via: readonly string[];
  };

  constructor(state: ScriptState, namespaceUsage: NamespaceUsage) {
    this.namespaceUsage = namespaceUsage;
    this.take(state);
  }

  take(state: ScriptState): void {
    this.state = state;
    this.place = state.place?.kind ?? "edge";
    this.limits = state.limits ?? DEFAULT_PLATFORM_LIMITS.defaults;
    this.outbound = state.outbound;
    const { cpu_ms: cpuMs, wall_ms: wallMs, subrequests } = this.limits;
    this.options = { props: undefined, limits: { cpuMs, wallMs, subrequests }, via: [] };
  }
}
