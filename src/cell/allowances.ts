/**
 * What the isolates of this process may still fetch. The gate (outbound.ts) is an entrypoint that the runtime
 * makes anew for each request, so it finds an isolate's allowance here, by the key in its props.
 *
 * Nothing tells which invocation of an isolate a subrequest belongs to, so they are counted together.
 */

export interface Allowance {
  /** Subrequests left to all invocations since nothing was under way. */
  credit: number;
  /** What the latest invocation may make; for messages. */
  perInvocation: number;
  /** The `via` of each invocation under way that has one. */
  readonly chains: (readonly string[])[];
  /** It does things that no invocation begins here: what it may make each second, and when it last got that. */
  renewal?: { readonly perSecond: number; atMs: number };
}

/** A response that streams from an isolate that has ended goes on fetching; so many are remembered. */
const MAX_ENDED = 1_000;

const allowances = new Map<string, Allowance>();
const ended: string[] = [];

export function openAllowance(key: string): Allowance {
  const allowance: Allowance = { credit: 0, perInvocation: 0, chains: [] };
  allowances.set(key, allowance);
  return allowance;
}

/** Of objects: their alarms, messages and timers are nobody's invocations. */
export function renewAllowance(key: string, perSecond: number): void {
  const allowance = allowances.get(key);
  if (allowance === undefined) return;
  allowance.renewal = { perSecond, atMs: 0 };
  allowance.perInvocation = perSecond;
}

/** False: nothing is left. */
export function takeCredit(allowance: Allowance): boolean {
  const { renewal } = allowance;
  if (allowance.credit <= 0 && renewal !== undefined && Date.now() - renewal.atMs >= 1000) {
    renewal.atMs = Date.now();
    allowance.credit = renewal.perSecond;
  }
  if (allowance.credit <= 0) return false;
  allowance.credit--;
  return true;
}

export function allowanceOf(key: string): Allowance | undefined {
  return allowances.get(key);
}

export function closeAllowance(key: string): void {
  ended.push(key);
  if (ended.length > MAX_ENDED) allowances.delete(ended.shift() as string);
}

/** The longest chain of calls of which a subrequest made now may be the continuation. */
export function longestChain({ chains }: Allowance): readonly string[] {
  let longest: readonly string[] = [];
  for (const chain of chains) if (chain.length > longest.length) longest = chain;
  return longest;
}
