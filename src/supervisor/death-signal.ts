/**
 * Ties a child's life to the supervisor's. On Linux `setpriv` asks the kernel to kill the child when its parent
 * ends, however that happens. Where it is missing, the next start ends what was left over (process-list.ts).
 */
import { realpathSync } from "node:fs";
import { delimiter, join } from "node:path";

let prefix: readonly string[] | undefined;

/** Arguments to put in front of a command. The command keeps the pid that `spawn` returns. */
export function dieWithParent(): readonly string[] {
  prefix ??= process.platform === "linux" ? findSetpriv() : [];
  return prefix;
}

function findSetpriv(): readonly string[] {
  for (const folder of (process.env.PATH ?? "/usr/bin:/bin").split(delimiter)) {
    try {
      const path = realpathSync(join(folder, "setpriv"));
      // BusyBox has a setpriv that does not know this option.
      if (!path.includes("busybox")) return [path, "--pdeathsig", "KILL", "--"];
    } catch {
      // Not in this folder.
    }
  }
  return [];
}
