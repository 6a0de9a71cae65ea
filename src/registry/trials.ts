/**
 * Trials of new versions in the trial cell, one after the other: code that spins at its top level blocks
 * the whole cell, and must not take another tenant's upload down with it. They run in the Registry object
 * because a queue in the API Worker could not outlive the request that holds its head.
 */
import { encodeBundle, type Bundle } from "../protocol/bundle.ts";
import type { TrialResult } from "../protocol/hub.ts";
import type { Outcome } from "./failures.ts";
import { failure, success } from "./result.ts";
import { replaceTrialCell } from "./supervisor.ts";

/**
 * For a cell that waits instead of computing: one that exceeds its CPU time or memory is killed by the
 * supervisor long before. There are two attempts.
 */
const TRIAL_WALL_MS = 2_500;

/** What wrangler recognizes (/startup/i) and Cloudflare says. */
const TOO_SLOW = "Script startup exceeded CPU time limit.";
const TOO_LARGE = "Script startup exceeded memory limit.";

export type Trial = Extract<TrialResult, { ok: true }>;

export class TrialQueue {
  readonly #cell: Fetcher;
  readonly #supervisor: Fetcher;
  #last: Promise<unknown> = Promise.resolve();

  constructor(cell: Fetcher, supervisor: Fetcher) {
    this.#cell = cell;
    this.#supervisor = supervisor;
  }

  /** Rejects only on bugs: everything that tenants' code can cause is an outcome. */
  run(bundle: Bundle): Promise<Outcome<Trial>> {
    const trial = this.#last.then(() => this.#runNow(encodeBundle(bundle)));
    this.#last = trial.catch(() => undefined);
    return trial;
  }

  /**
   * Once if the supervisor killed the cell over a limit. Else twice: the first cell may have died of something
   * else, such as a trial before this one that tampered with its isolate so that it spins only after its answer.
   */
  async #runNow(encoded: Uint8Array): Promise<Outcome<Trial>> {
    for (let attempt = 0; attempt < 2; attempt++) {
      const result = await this.#ask(encoded);
      if (result?.ok) return success(result);
      if (result) return failure({ reason: "startup-failed", message: result.message });
      const replaced = await replaceTrialCell(this.#supervisor);
      if (!replaced.ok) return failure({ reason: "trial-unavailable", detail: replaced.failure });
      const { kind } = replaced.value;
      if (kind === "cpu") return failure({ reason: "startup-failed", message: TOO_SLOW });
      if (kind === "memory") return failure({ reason: "startup-failed", message: TOO_LARGE });
    }
    return failure({ reason: "startup-failed", message: TOO_SLOW });
  }

  /** null: the cell did not answer in time or died. */
  async #ask(encoded: Uint8Array): Promise<TrialResult | null> {
    try {
      const response = await this.#cell.fetch("http://trial/trial", {
        method: "POST",
        body: encoded,
        signal: AbortSignal.timeout(TRIAL_WALL_MS),
      });
      if (response.ok) return await response.json<TrialResult>();
      console.error(`trial cell answered ${response.status}: ${await response.text()}`);
    } catch (error) {
      console.warn(`trial cell lost: ${String(error)}`);
    }
    return null;
  }
}
