/**
 * A token bucket for each address from which wrong tokens come. It holds nobody out: a token is looked up first, and
 * a right one passes whatever else its address sends, since many clients may be behind one address. That costs
 * no safety, because 256 random bits are not found at any rate; what it bounds is what a flood of guesses learns and
 * logs. It is in memory, hence forgotten with the process.
 */
const CAPACITY = 30;
const REFILL_MS = 2_000;
/** The address that was heard of longest ago goes. */
const MAX_ADDRESSES = 10_000;

export class FailedAttempts {
  readonly #buckets = new Map<string, { tokens: number; at: number }>();

  /** Counts one. Returns 0, or in how many seconds the next is answered. */
  take(address: string, nowMs: number): number {
    const key = network(address);
    const { tokens, at } = this.#buckets.get(key) ?? { tokens: CAPACITY, at: nowMs };
    const filled = Math.min(CAPACITY, tokens + Math.max(0, nowMs - at) / REFILL_MS);
    const left = filled < 1 ? filled : filled - 1;
    this.#buckets.delete(key);
    this.#buckets.set(key, { tokens: left, at: nowMs });
    const [oldest] = this.#buckets.keys();
    if (this.#buckets.size > MAX_ADDRESSES && oldest !== undefined) this.#buckets.delete(oldest);
    return filled < 1 ? Math.ceil(((1 - filled) * REFILL_MS) / 1000) : 0;
  }
}

/** Whoever has one IPv6 address has all of its /64. */
function network(address: string): string {
  if (!address.includes(":") || address.includes(".")) return address;
  const [head = "", tail] = address.split("::");
  const left = head.split(":").filter(Boolean);
  const right = tail?.split(":").filter(Boolean) ?? [];
  const zeros = tail === undefined ? 0 : Math.max(0, 8 - left.length - right.length);
  return [...left, ...Array<string>(zeros).fill("0"), ...right].slice(0, 4).join(":");
}
