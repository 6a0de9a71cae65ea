/**
 * The loader's side of the control entrypoint (wrapper.ts): start an isolate, ask about it, end it.
 */
import { CONTROL_ENTRYPOINT } from "./wrapper.ts";

export interface Offered {
  readonly handlers: readonly string[];
  readonly exports: readonly string[];
}

interface Control {
  ready(token?: string): Promise<Offered>;
  pending(): Promise<number>;
  mark(): Promise<void>;
  evict(): Promise<never>;
}

function controlOf(worker: WorkerStub): Control {
  return worker.getEntrypoint(CONTROL_ENTRYPOINT) as unknown as Control;
}

/**
 * Resolves when the isolate is compiled and its top-level code has run; rejects if that fails. `token` is for
 * marked isolates.
 */
export async function ready(worker: WorkerStub, token?: string): Promise<Offered> {
  using offered = (await controlOf(worker).ready(token)) as Offered & Disposable;
  return { handlers: [...offered.handlers], exports: [...offered.exports] };
}

/** Writes a marker, in front of what the isolate is asked for next. Only for marked isolates. */
export function mark(worker: WorkerStub): void {
  controlOf(worker)
    .mark()
    .catch(() => {
      // What it stands in front of fails too, and is heard of.
    });
}

/** How many promises given to `waitUntil` are not settled. The tenant can make it lie. */
export function pending(worker: WorkerStub): Promise<number> {
  return controlOf(worker).pending();
}

/** Only for an isolate that is loaded: asking another one to end would load it first. */
export async function evict(worker: WorkerStub): Promise<void> {
  try {
    await controlOf(worker).evict();
  } catch {
    // Ending an isolate always fails the call that asked for it.
  }
}
