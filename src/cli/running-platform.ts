/** Finds the platform that runs on a data directory, for the commands that talk to it. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { readOption, type Surroundings } from "../supervisor/config.ts";
import { dataPaths, type DataPaths } from "../supervisor/data-directory.ts";
import { readPlatformState, type PlatformState } from "../supervisor/process-list.ts";
import { CommandError } from "./command.ts";

export type Values = Readonly<Record<string, string | undefined>>;

export interface RunningPlatform {
  readonly state: PlatformState;
  /** The operator's API token. */
  readonly token: string;
}

export function readDataPaths(values: Values, around: Surroundings): DataPaths {
  const root = readOption("data", values.data, around);
  if (root === undefined) throw new TypeError("--data has a default");
  return dataPaths(root);
}

/** @throws CommandError if none is ready. */
export function findPlatform(values: Values, around: Surroundings): RunningPlatform {
  const paths = readDataPaths(values, around);
  const state = readPlatformState(paths.run);
  if (state === undefined) {
    throw new CommandError(
      `no platform runs on ${paths.root}; start one with "skep start --data ${paths.root}"`,
    );
  }
  if (state.state !== "ready") {
    throw new CommandError(
      `the platform on ${paths.root} is still starting; "skep status --wait --data ${paths.root}" waits for it`,
    );
  }
  return { state, token: readFileSync(join(paths.root, "token"), "utf8").trim() };
}
