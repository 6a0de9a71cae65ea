/**
 * The isolates of this process: loads a version once, hands out its entrypoint, ends isolates that were
 * superseded or that no budget has room for. workerd itself never ends a named isolate, and a process
 * dies at a few thousand of them.
 */
import { evict, ready } from "./control.ts";
import { toWorkerCode } from "./worker-code.ts";
import type { Bundle } from "../protocol/bundle.ts";

/** workerd aborts at 2,000 to 4,000 live trivial isolates. */
const MAX_ISOLATES = 1_000;

/** `waitUntil` work may go on for 30 s after the response, as on Cloudflare; ending an isolate loses it. */
const GRACE_MS = 30_000;

/** However young, superseded isolates beyond this many are ended, oldest first. */
const MAX_SUPERSEDED = 100;

/** Of how many versions the number of tries is remembered; far more than can be superseded or failing. */
const MAX_ATTEMPTS = 10_000;

export interface LoadTimes {
  /** False: another request was loading this version already, and this one waited for it. */
  readonly loadedHere: boolean;
  readonly fetchMs: number;
  readonly loadMs: number;
}

interface Isolate {
  readonly key: string;
  lastUsedMs: number;
}

interface Superseded {
  readonly key: string;
  readonly sinceMs: number;
}

export class Isolates {
  readonly #loader: WorkerLoader;
  readonly #fetchBundle: (versionId: string) => Promise<Bundle>;
  readonly #outbound: Fetcher | null;
  readonly #loaded = new Map<string, Isolate>();
  /** The loader remembers a name for ever, failed loads too; each try has a name of its own. */
  readonly #attempts = new Map<string, number>();
  #superseded: Superseded[] = [];

  constructor(
    loader: WorkerLoader,
    fetchBundle: (versionId: string) => Promise<Bundle>,
    outbound: Fetcher | null,
  ) {
    this.#loader = loader;
    this.#fetchBundle = fetchBundle;
    this.#outbound = outbound;
  }

  get size(): number {
    return this.#loaded.size;
  }

  /** The default entrypoint of a loaded version; undefined: call `load` first. */
  entrypoint(versionId: string, options?: WorkerStubEntrypointOptions): Fetcher | undefined {
    const isolate = this.#loaded.get(versionId);
    if (isolate === undefined) return undefined;
    isolate.lastUsedMs = Date.now();
    return this.#worker(isolate.key).getEntrypoint(undefined, options);
  }

  /** Rejects with what `fetchBundle` threw, or with the runtime's `Failed to start Worker…`. */
  async load(versionId: string): Promise<LoadTimes> {
    const startedMs = Date.now();
    const attempt = this.#attempts.get(versionId) ?? 0;
    const key = `${versionId}.${attempt}`;
    let fetchMs: number | undefined;
    let fetchError: unknown;
    const worker = this.#loader.get(key, async () => {
      try {
        const bundle = await this.#fetchBundle(versionId);
        fetchMs = Date.now() - startedMs;
        return toWorkerCode(bundle, this.#outbound);
      } catch (error) {
        // The loader would hand on the message alone.
        fetchError = error;
        throw error;
      }
    });
    try {
      await ready(worker);
    } catch (error) {
      this.#retire(versionId, attempt);
      throw fetchError ?? error;
    }
    if ((this.#attempts.get(versionId) ?? 0) === attempt && !this.#loaded.has(versionId)) {
      this.#loaded.set(versionId, { key, lastUsedMs: Date.now() });
    }
    return {
      loadedHere: fetchMs !== undefined,
      fetchMs: fetchMs ?? 0,
      loadMs: Date.now() - startedMs - (fetchMs ?? 0),
    };
  }

  /** The version gets no new requests: its isolate ends once its background work had time to finish. */
  supersede(versionId: string): void {
    const isolate = this.#loaded.get(versionId);
    if (isolate === undefined) return;
    this.#loaded.delete(versionId);
    // A rollback to this version must not meet the isolate that is about to end.
    this.#retire(versionId, this.#attempts.get(versionId) ?? 0);
    this.#superseded.push({ key: isolate.key, sinceMs: Date.now() });
  }

  /** Ends what may end. Called at intervals, out of the request path. */
  async sweep(nowMs: number): Promise<void> {
    const excess = [...this.#loaded]
      .sort(([, a], [, b]) => a.lastUsedMs - b.lastUsedMs)
      .slice(0, Math.max(0, this.#loaded.size - MAX_ISOLATES));
    for (const [versionId] of excess) this.supersede(versionId);
    const surplus = this.#superseded.length - MAX_SUPERSEDED;
    const due = this.#superseded.filter(
      ({ sinceMs }, index) => index < surplus || nowMs - sinceMs >= GRACE_MS,
    );
    this.#superseded = this.#superseded.filter((entry) => !due.includes(entry));
    await Promise.all(due.map(({ key }) => evict(this.#worker(key))));
  }

  #retire(versionId: string, attempt: number): void {
    this.#attempts.set(versionId, attempt + 1);
    const [oldest] = this.#attempts.keys();
    if (this.#attempts.size > MAX_ATTEMPTS && oldest !== undefined) this.#attempts.delete(oldest);
  }

  /** A stub of an isolate that is loaded under this key already. */
  #worker(key: string): WorkerStub {
    return this.#loader.get(key, notLoaded);
  }
}

function notLoaded(): never {
  throw new Error("the isolate is gone; the request may be sent again");
}
