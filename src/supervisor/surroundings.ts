/** What this machine gives to a platform, read once for `readConfig`. */
import { availableParallelism, totalmem } from "node:os";
import type { Surroundings } from "./config.ts";
import { SECRET_KEY_VARIABLE } from "./secret-keys.ts";

export function readSurroundings(): Surroundings {
  // A container's limit, where there is one; without one the system reports more than there is.
  const bytes = Math.min(totalmem(), process.constrainedMemory() || Infinity);
  return {
    workingDirectory: process.cwd(),
    cores: availableParallelism(),
    memoryMb: Math.floor(bytes / 2 ** 20),
    secretKeys: process.env[SECRET_KEY_VARIABLE] || undefined,
  };
}
