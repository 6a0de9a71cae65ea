/** Finds a program as a shell would, without starting one. */
import { accessSync, constants, realpathSync } from "node:fs";
import { delimiter, join } from "node:path";

/** Absolute, symbolic links resolved. undefined: it is in no folder of PATH. */
export function findProgram(name: string): string | undefined {
  for (const folder of (process.env.PATH ?? "/usr/bin:/bin").split(delimiter)) {
    try {
      const path = realpathSync(join(folder, name));
      accessSync(path, constants.X_OK);
      return path;
    } catch {
      // Not in this folder.
    }
  }
  return undefined;
}
