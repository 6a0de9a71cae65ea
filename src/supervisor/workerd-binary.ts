/** Finds the workerd that npm installed. */
import { accessSync, constants } from "node:fs";
import { createRequire } from "node:module";
import { StartError } from "./start-error.ts";

/** Absolute path. @throws StartError if it is not installed, or not for this machine. */
export function findWorkerd(): string {
  try {
    // The package throws while it loads if the binary for this machine is not there.
    const { default: path } = createRequire(import.meta.url)("workerd") as { default: string };
    accessSync(path, constants.X_OK);
    return path;
  } catch (error) {
    throw new StartError(
      `workerd is not installed for ${process.platform}-${process.arch}; run "npm ci" in the folder of Skep, without --omit=optional`,
      { cause: error },
    );
  }
}
