/** Which life of this process it is: what an earlier one had begun, nobody will end. */
import type { EventResult } from "../protocol/events.ts";

let life: string | undefined;

/** Made on first use: no randomness is allowed before. */
export function currentLife(): string {
  return (life ??= crypto.randomUUID());
}

/**
 * Of an event that was begun in `life`, and of which nothing was heard. It is no function's fault that this process was
 * killed, so that counts as no try of it.
 */
export function lostResult(life: string | null): EventResult & { readonly ran: false } {
  const isOurs = life === currentLife();
  const message = isOurs ? "nothing was heard of it in time" : "the store was restarted meanwhile";
  return { ran: false, reason: "unavailable", message, ...(isOurs && { mayHaveRun: true }) };
}
