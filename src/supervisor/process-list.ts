/**
 * The files in `run/` that tell other programs what runs: `processes.json` for whoever must end processes (the
 * next start, tests), `platform.json` for the command line. Both are replaced atomically.
 */
import { readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { isAlive, type ProcessIdentity } from "./process-identity.ts";
import { sandboxesOf } from "./sandbox/leftovers.ts";

/** Pids of workerd processes, as this system counts them; null while a process is being replaced. */
export interface ProcessList {
  readonly supervisor: number;
  readonly hub: number | null;
  readonly store: number | null;
  /** With D1 databases: the slow lane and the fast one. */
  readonly databases: readonly (number | null)[];
  readonly egress: number | null;
  readonly trial: number | null;
  readonly edges: readonly (number | null)[];
  readonly cells: {
    readonly probation: readonly (number | null)[];
    readonly dedicated: readonly {
      /** Among all cells, probation cells included. */
      readonly index: number;
      readonly pid: number;
      readonly versionId: string;
    }[];
    readonly spares: readonly number[];
  };
  /** Every process that must be ended, those that drain and the monitors of sandboxes included. */
  readonly all: readonly ProcessIdentity[];
}

export interface PlatformState {
  readonly state: "starting" | "ready";
  readonly supervisor: ProcessIdentity;
  readonly accountId: string;
  readonly baseDomain: string;
  /** Without a trailing slash, such as `http://127.0.0.1:8788`. */
  readonly apiUrl: string;
  /** Such as `http://localhost:8787`. Functions are at subdomains of it. */
  readonly httpUrl: string;
  readonly httpsUrl: string;
}

const PROCESSES = "processes.json";
const PLATFORM = "platform.json";

export function writeProcessList(run: string, list: ProcessList): void {
  writeAtomically(join(run, PROCESSES), list);
}

export function writePlatformState(run: string, state: PlatformState): void {
  writeAtomically(join(run, PLATFORM), state);
}

export function forgetPlatform(run: string): void {
  for (const name of [PLATFORM, PROCESSES]) rmSync(join(run, name), { force: true });
}

/** undefined: no platform runs on this directory. */
export function readPlatformState(run: string): PlatformState | undefined {
  const state = readJson<PlatformState>(join(run, PLATFORM));
  return state && isAlive(state.supervisor) ? state : undefined;
}

export function readProcessList(run: string): ProcessList | undefined {
  return readJson<ProcessList>(join(run, PROCESSES));
}

/**
 * Ends children that outlived a supervisor which was killed. Only for the holder of the directory's lock. They
 * must be gone before anything starts: two hubs on one database would be the end of it.
 */
export async function endLeftovers(run: string): Promise<void> {
  const left = [...(readProcessList(run)?.all ?? []), ...sandboxesOf(run)].filter(isAlive);
  for (const { pid } of left) {
    try {
      process.kill(pid, "SIGKILL");
    } catch {
      // ESRCH: it ended by itself just now.
    }
  }
  while (left.some(isAlive)) await new Promise((resolve) => setTimeout(resolve, 2));
}

function writeAtomically(path: string, content: unknown): void {
  const temporary = `${path}.tmp`;
  writeFileSync(temporary, `${JSON.stringify(content, null, 2)}\n`, { mode: 0o600 });
  renameSync(temporary, path);
}

/** undefined: the file is missing or not whole; it is written atomically, so then nobody wrote it. */
function readJson<T>(path: string): T | undefined {
  try {
    return JSON.parse(readFileSync(path, "utf8")) as T;
  } catch {
    return undefined;
  }
}
