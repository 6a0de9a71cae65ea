/**
 * One isolate as this process keeps account of it: what is under way in it, what it may fetch, what it takes up.
 */
import { closeAllowance, openAllowance, type Allowance } from "./allowances.ts";
import type { InvocationLimits } from "../protocol/hop.ts";
import type { Ledger, LedgerEntry } from "./ledger.ts";

/** Measured: 1.6 to 2.4 MB for small functions; source, compiled code and what it makes of it beyond that. */
const BASE_BYTES = 2 * 1024 * 1024;
const BYTES_PER_BUNDLE_BYTE = 3;

export class Isolate {
  readonly versionId: string;
  /** The version's, and its variant's (protocol/outbound.ts). */
  readonly id: string;
  /** Its name in the loader. */
  readonly key: string;
  readonly isPinned: boolean;
  /** It may have work under way that nothing can count. */
  readonly isUncountable: boolean;
  readonly estimatedBytes: number;
  /** Those for events that the version said it has, when it was loaded. */
  handlers: readonly string[] = [];
  /** When an invocation last began or ended. */
  lastUsedMs: number;
  /** When the keep-alive policy was last told of a call. */
  lastToldMs = 0;
  /** When background work was last found in it. */
  lastBusyMs = 0;
  underWay = 0;
  /** Invocations begun. */
  begun = 0;
  readonly #ledger: Ledger;
  readonly #entry: LedgerEntry;
  readonly #allowance: Allowance;

  constructor(
    ledger: Ledger,
    of: {
      readonly versionId: string;
      readonly id: string;
      readonly key: string;
      readonly isPinned: boolean;
      readonly isUncountable: boolean;
      readonly bundleBytes: number;
    },
    nowMs: number,
  ) {
    this.versionId = of.versionId;
    this.id = of.id;
    this.key = of.key;
    this.isPinned = of.isPinned;
    this.isUncountable = of.isUncountable;
    this.estimatedBytes = BASE_BYTES + BYTES_PER_BUNDLE_BYTE * of.bundleBytes;
    this.lastUsedMs = nowMs;
    this.#ledger = ledger;
    this.#entry = ledger.allocate(of.versionId);
    this.#allowance = openAllowance(of.key);
  }

  begin({ cpuMs, subrequests }: InvocationLimits, via: readonly string[], nowMs: number): void {
    const allowance = this.#allowance;
    allowance.credit = this.underWay === 0 ? subrequests : allowance.credit + subrequests;
    allowance.perInvocation = subrequests;
    if (via.length > 0) allowance.chains.push(via);
    this.underWay++;
    this.begun++;
    this.lastUsedMs = nowMs;
    this.#ledger.begin(this.#entry, cpuMs, nowMs);
  }

  end(via: readonly string[]): void {
    if (via.length > 0) {
      const { chains } = this.#allowance;
      chains.splice(chains.indexOf(via), 1);
    }
    this.underWay--;
    this.lastUsedMs = Date.now();
    this.#ledger.end(this.#entry);
  }

  beginStart(cpuMs: number, nowMs: number): void {
    this.#ledger.begin(this.#entry, cpuMs, nowMs);
  }

  endStart(): void {
    this.#ledger.end(this.#entry);
  }

  /** The isolate is gone, or never came to be; nothing of it may be under way. */
  close(): void {
    this.#ledger.free(this.#entry);
    closeAllowance(this.key);
  }
}
