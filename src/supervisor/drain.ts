/** The orderly end of a process. */
import type { WorkerdProcess } from "./workerd-process.ts";

export const DRAIN_TIMEOUT_MS = 30_000;
/**
 * A sandboxed process that has just become ready does not handle signals yet, and the kernel drops what it does
 * not handle. One that drains already ignores a second one.
 */
const REPEAT_MS = 200;

/** Asks a process to finish what it has; kills it if that takes too long. Resolves when it has ended. */
export async function drain(process: WorkerdProcess, timeoutMs = DRAIN_TIMEOUT_MS): Promise<void> {
  process.draining = true;
  process.kill("SIGTERM");
  const repeat = setTimeout(() => process.kill("SIGTERM"), REPEAT_MS);
  const timer = setTimeout(() => process.kill("SIGKILL"), timeoutMs);
  await process.exited;
  clearTimeout(repeat);
  clearTimeout(timer);
}
