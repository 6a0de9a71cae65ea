/**
 * Whether an invocation may begin: the limits that need no look at its body, checked before anything is done
 * for it. On the way of every request, so it looks nothing up and allocates nothing for those it lets pass.
 */
import { LimitError } from "../protocol/dispatch-errors.ts";
import { LIMITS, MAX_HOPS, type LimitName } from "../protocol/limits.ts";
import type { ScriptEntry } from "../namespace/script-entry.ts";

/**
 * undefined: it may begin, and counts against the rate. `edges`: each has its share of the requests per second,
 * since they hear nothing of each other's.
 */
export function refusalOf(
  entry: ScriptEntry,
  via: readonly string[],
  edges: number,
  nowMs: number,
): LimitError | undefined {
  const { limits, state, whole } = entry;
  const refusedUntilMs = state.place?.refusedUntilMs ?? 0;
  if (refusedUntilMs > nowMs) return backOff(entry, refusedUntilMs, nowMs);
  if (via.length >= MAX_HOPS) return loop(entry, via);
  if (whole.underWay >= limits.concurrency) return tooManyConcurrent(entry, "concurrency");
  if (entry.namespaceUsage.underWay >= limits.namespace_concurrency) {
    return tooManyConcurrent(entry, "namespace_concurrency");
  }
  return limits.requests_per_second === 0 ? undefined : takeToken(entry, edges, nowMs);
}

/** The bucket holds one second's worth, and at least one request. */
function takeToken(version: ScriptEntry, edges: number, nowMs: number): LimitError | undefined {
  const entry = version.whole;
  const perSecond = version.limits.requests_per_second / edges;
  const burst = Math.max(1, perSecond);
  const isNew = entry.tokensAtMs === 0;
  const gained = ((nowMs - entry.tokensAtMs) / 1000) * perSecond;
  // The clock of the system may be set back.
  entry.tokens = isNew ? burst : Math.min(burst, entry.tokens + Math.max(0, gained));
  entry.tokensAtMs = nowMs;
  if (entry.tokens >= 1) {
    entry.tokens--;
    return undefined;
  }
  const retryAfterSeconds = Math.ceil((1 - entry.tokens) / perSecond);
  return new LimitError(
    "rateLimited",
    `${nameOf(entry)} gets more than ${named(entry, "requests_per_second")}; ` +
      "send fewer requests or raise that limit",
    retryAfterSeconds,
  );
}

function tooManyConcurrent(
  entry: ScriptEntry,
  limit: "concurrency" | "namespace_concurrency",
): LimitError {
  const whose = limit === "concurrency" ? nameOf(entry) : `namespace "${entry.state.namespace}"`;
  return new LimitError(
    "tooManyConcurrent",
    `${whose} has as many invocations under way on this edge as ${named(entry, limit)} allows; ` +
      "wait for some to end or raise that limit",
    1,
  );
}

function backOff(entry: ScriptEntry, refusedUntilMs: number, nowMs: number): LimitError {
  const until = new Date(refusedUntilMs).toISOString();
  return new LimitError(
    "backOff",
    `Worker exceeded resource limits repeatedly; ${nameOf(entry)} is refused until ${until}, ` +
      "or until a version that stays within its limits is deployed",
    Math.ceil((refusedUntilMs - nowMs) / 1000),
  );
}

/** Names the ring: the functions since this one was called before. */
function loop(entry: ScriptEntry, via: readonly string[]): LimitError {
  const name = `${entry.state.namespace}/${entry.state.script}`;
  const before = via.lastIndexOf(name);
  const ring = [...via.slice(Math.max(0, before)), name].join(" -> ");
  return new LimitError(
    "loop",
    `Functions called each other ${MAX_HOPS} times in a row, which is the most: ${ring}; break the ring`,
  );
}

function nameOf({ state }: ScriptEntry): string {
  return `function "${state.namespace}/${state.script}"`;
}

/** Such as `concurrency = 1000`. */
function named({ limits }: ScriptEntry, limit: LimitName): string {
  const { unit } = LIMITS[limit];
  return `${limit} = ${limits[limit]}${unit.startsWith("/") ? unit : ""}`;
}
