/**
 * One script as an edge holds it: the state that holds, what follows from that for every invocation, and how
 * much of it is going on here. Made once per script, so that a request looks it up once.
 *
 * If more than one version gets traffic, each has an entry of its own beside, which an invocation goes on with once
 * its version is chosen. The script's own entry then stands for the version with the largest share.
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
  /** The script's own entry, which counts for all versions. */
  readonly whole: ScriptEntry;
  underWay = 0;
  /** The token bucket of requests_per_second (src/edge/admission.ts). */
  tokens = 0;
  tokensAtMs = 0;

  /** Its versions; undefined: there is one, and this is its entry. */
  shares: readonly ScriptEntry[] | undefined;
  /** Of the script's traffic. */
  percentage = 100;

  state!: ScriptState;
  /** Whose version it is; `state.script` may be the name of a preview. */
  script!: string;
  place!: PlaceKind;
  limits!: Limits;
  outbound: OutboundWorker | undefined;
  /** Its isolates are loaded so that they tell what becomes of invocations. */
  isTraced!: boolean;
  /** What an invocation gets if its caller asks for nothing else. */
  options!: {
    readonly props: undefined;
    readonly limits: InvocationLimits;
    readonly via: readonly string[];
  };

  constructor(state: ScriptState, namespaceUsage: NamespaceUsage, whole?: ScriptEntry) {
    this.namespaceUsage = namespaceUsage;
    this.whole = whole ?? this;
    this.take(state);
  }

  /** One for each version. */
  get versions(): readonly ScriptEntry[] {
    return this.shares ?? [this];
  }

  take(state: ScriptState): void {
    const { shares: known } = this;
    const { shares, ...single } = state;
    // A version without assets has none of another.
    const { assets: _, ...common } = single;
    this.#take(single);
    this.shares = shares?.map(({ percentage, ...version }) => {
      const { versionId } = version;
      const of = { ...common, ...version };
      const entry =
        known?.find((share) => share.state.versionId === versionId) ??
        new ScriptEntry(of, this.namespaceUsage, this);
      entry.#take(of);
      entry.percentage = percentage;
      return entry;
    });
    // What is on its way to a version that is none of them now goes where the traffic goes.
    for (const entry of known ?? []) if (!this.shares?.includes(entry)) entry.#take(single);
  }

  #take(state: ScriptState): void {
    this.state = state;
    this.script = state.previewOf ?? state.script;
    this.place = state.place?.kind ?? "edge";
    this.limits = state.limits ?? DEFAULT_PLATFORM_LIMITS.defaults;
    this.outbound = state.outbound;
    this.isTraced = state.traced !== undefined;
    const { cpu_ms: cpuMs, wall_ms: wallMs, subrequests } = this.limits;
    this.options = { props: undefined, limits: { cpuMs, wallMs, subrequests }, via: [] };
  }
}
