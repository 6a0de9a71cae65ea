/**
 * The loader's side of the control entrypoint (wrapper.ts): start an isolate, ask what it offers, end it.
 */
import { CONTROL_ENTRYPOINT } from "./wrapper.ts";

export interface Offered {
  readonly handlers: readonly string[];
  readonly exports: readonly string[];
}

interface Control {
  ready(): Promise<Offered>;
  evict(): Promise<never>;
}

function controlOf(worker: WorkerStub): Control {
  return worker.getEntrypoint(CONTROL_ENTRYPOINT) as unknown as Control;
}

/** Resolves when the isolate is compiled and its top-level code has run; rejects if that fails. */
export async function ready(worker: WorkerStub): Promise<Offered> {
  using offered = (await controlOf(worker).ready()) as Offered & Disposable;
  return { handlers: [...offered.handlers], exports: [...offered.exports] };
}

/** Only for an isolate that is loaded: asking another one to end would load it first. */
export async function evict(worker: WorkerStub): Promise<void> {
  try {
    await controlOf(worker).evict();
  } catch {
    // Ending an isolate always fails the call that asked for it.
  }
}
