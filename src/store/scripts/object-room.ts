/**
 * What the Durable Objects of one script take, for the quota. Their files are written by the script's own process, which asks
 * nobody: the supervisor measures them (src/supervisor/stateful/rooms.ts), and is told whether there was room for that.
 */
import { DurableObject } from "cloudflare:workers";
import type { StoreConfig } from "../../protocol/store.ts";
import type { StoreEnv } from "../env.ts";
import { QuotaError, QuotaLease, type QuotaHolder, type Released } from "../quota.ts";

const BYTES = "bytes";
const IS_KNOWN = "isKnown";

export class ObjectRoom extends DurableObject<StoreEnv> implements QuotaHolder {
  readonly #kv = this.ctx.storage.kv;
  #bytes = this.#kv.get<number>(BYTES) ?? 0;
  readonly #quota = new QuotaLease(
    this.ctx,
    this.env,
    { binding: "OBJECT_ROOMS", kind: "durable-objects" },
    () => ({ bytes: this.#bytes }),
  );

  configure(config: StoreConfig): void {
    this.#kv.put(IS_KNOWN, true);
    this.#quota.configure(config);
  }

  /** The script has no classes any more. */
  async remove(): Promise<void> {
    await this.#quota.drop();
    await this.ctx.storage.deleteAll();
    this.#bytes = 0;
  }

  releaseQuota(epoch: number): Released {
    return this.#quota.release(epoch);
  }

  /** They take so many bytes now, whether there is room or not. Why there is none; null: there is; undefined: not known yet. */
  async measured(bytes: number): Promise<string | null | undefined> {
    if (this.#kv.get(IS_KNOWN) !== true) return undefined;
    this.#bytes = bytes;
    this.#kv.put(BYTES, bytes);
    try {
      (await this.#quota.reserve({ bytes: 1 })).free();
      return null;
    } catch (error) {
      if (error instanceof QuotaError) return error.message;
      throw error;
    }
  }
}
