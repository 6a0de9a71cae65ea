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
