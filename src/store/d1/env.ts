import type { D1Database } from "./database.ts";

/** Everything that a process with databases is given, by the supervisor's workerd configuration. */
export interface DatabasesEnv {
  readonly D1: DurableObjectNamespace<D1Database>;
  /** Writable disk service: snapshots, and files that come and go. */
  readonly FILES: Fetcher;
  /** ControlGate of the store, for quotas (remote-book.ts). */
  readonly STORE: Fetcher;
  /** Of grants, hex (src/protocol/grants.ts). */
  readonly GRANT_KEY: string;
  /** Hex; what is under way stands in the ledger (src/protocol/ledger.ts). Absent: nobody watches. */
  readonly LEDGER_KEY?: string;
  readonly LANE: {
    /** What the statements of one call may take of CPU time. */
    readonly cpuMs: number;
    /** Databases in the slow lane, and until when (Unix milliseconds). */
    readonly slow: Readonly<Record<string, number>>;
  };
  /** ControlGate of the slow lane, in the fast one. */
  readonly SLOW?: Fetcher;
}
