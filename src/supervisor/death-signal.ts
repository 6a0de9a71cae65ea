/**
 * Ties a child's life to the supervisor's. On Linux `setpriv` asks the kernel to kill the child when its parent
 * ends, however that happens, and to let it gain no privilege by starting a program. Where it is missing, the next
 * start ends what was left over (process-list.ts). A sandbox has both built in.
 */
import { findProgram } from "./find-program.ts";

let prefix: readonly string[] | undefined;

/** Arguments to put in front of a command. The command keeps the pid that `spawn` returns. */
export function childPrefix(): readonly string[] {
  prefix ??= process.platform === "linux" ? findSetpriv() : [];
  return prefix;
}

function findSetpriv(): readonly string[] {
  const path = findProgram("setpriv");
  // BusyBox has a setpriv that does not know the first option.
  if (path === undefined || path.includes("busybox")) return [];
  return [path, "--pdeathsig", "KILL", "--no-new-privs", "--"];
}
