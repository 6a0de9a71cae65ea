/**
 * What was tried too often, or kept too long: it goes to the dead letter queue, or is dropped where there is none. On its way
 * it is in a table of its own, written with the verdict; the other queue takes each message once, by its number here.
 */
import type { Messages } from "./messages.ts";
import { enqueue } from "./enqueue.ts";
import type { StoreEnv } from "../env.ts";

const MAX_SENT = 50;
const RETRY_MS = 2_000;

export class DeadLetters {
  readonly #env: StoreEnv;
  readonly #messages: Messages;
  /** How many went nowhere, in the life of this object. */
  dropped = 0;
  #retryAt = 0;
  #sending: Promise<void> | null = null;

  constructor(env: StoreEnv, messages: Messages) {
    this.#env = env;
    this.#messages = messages;
  }

  add(seqs: readonly number[], to: string | null, now: number): void {
    if (to !== null) return this.#messages.bury(seqs, now);
    this.#messages.remove(seqs);
    this.dropped += seqs.length;
  }

  /** When to call `send`; null: there is nothing to send. */
  wakeAt(): number | null {
    return this.#messages.hasDead ? this.#retryAt : null;
  }

  /** `from`: id of this queue; `to`: that of the other one. What could not be sent stays. Never rejects. */
  send(from: string, to: string | null): Promise<void> {
    if (this.#retryAt > Date.now() || !this.#messages.hasDead) return Promise.resolve();
    this.#sending ??= this.#send(from, to).finally(() => (this.#sending = null));
    return this.#sending;
  }

  async #send(from: string, to: string | null): Promise<void> {
    for (;;) {
      const dead = this.#messages.dead(MAX_SENT);
      const last = dead.at(-1)?.sequence;
      if (last === undefined) return;
      try {
        if (to === null) this.dropped += this.#messages.removeDead(last);
        else {
          await enqueue(this.#env, to, dead, `queue:${from}`);
          this.#messages.removeDead(last);
        }
      } catch (error) {
        // It was deleted a moment ago, or is full: retention ends the tries.
        console.warn(`queue ${from}: dead letters wait: ${(error as Error).message}`);
        this.#retryAt = Date.now() + RETRY_MS;
        return;
      }
    }
  }
}
