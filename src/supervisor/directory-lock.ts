/**
 * Lets one platform at a time use a data directory. The lock is a file with its holder's identity, so that
 * the lock of a supervisor that was killed counts for nothing. It does not see processes of other pid
 * namespaces: two containers must not share one data directory.
 *
 * Race that is accepted: three supervisors that start within microseconds on a directory with a stale lock.
 */
import { linkSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { identify, isAlive, type ProcessIdentity } from "./process-identity.ts";
import { StartError } from "./start-error.ts";

export interface DirectoryLock {
  release(): void;
}

/** @throws StartError if a running process holds the lock. */
export function lockDirectory(directory: string): DirectoryLock {
  const path = join(directory, "lock");
  const claim = `${path}.${process.pid}`;
  writeFileSync(claim, JSON.stringify(identify(process.pid)), { mode: 0o600 });
  try {
    // A hard link appears with its content, and only if there is no such file yet.
    if (!tryLink(claim, path)) {
      refuseIfHeld(directory, readHolder(path));
      setStaleAside(directory, path, `${claim}.stale`);
      if (!tryLink(claim, path)) refuse(directory, readHolder(path));
    }
  } finally {
    rmSync(claim, { force: true });
  }
  return { release: () => rmSync(path, { force: true }) };
}

/** Undone if what was set aside turns out to be the fresh lock of another supervisor that starts now. */
function setStaleAside(directory: string, path: string, aside: string): void {
  try {
    renameSync(path, aside);
    const holder = readHolder(aside);
    if (holder !== undefined && isAlive(holder)) {
      tryLink(aside, path);
      refuse(directory, holder);
    }
  } catch (error) {
    // Another supervisor that starts now was faster; whoever links first has the lock.
    if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
  } finally {
    rmSync(aside, { force: true });
  }
}

function tryLink(from: string, to: string): boolean {
  try {
    linkSync(from, to);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "EEXIST") return false;
    throw error;
  }
}

/** undefined: the file has gone, or is not a lock that this version wrote: nobody can hold it. */
function readHolder(path: string): ProcessIdentity | undefined {
  try {
    const { pid, startTime } = JSON.parse(readFileSync(path, "utf8")) as ProcessIdentity;
    return typeof pid === "number" && typeof startTime === "string"
      ? { pid, startTime }
      : undefined;
  } catch {
    return undefined;
  }
}

function refuseIfHeld(directory: string, holder: ProcessIdentity | undefined): void {
  if (holder !== undefined && isAlive(holder)) refuse(directory, holder);
}

function refuse(directory: string, holder: ProcessIdentity | undefined): never {
  const who = holder === undefined ? "another process" : `process ${holder.pid}`;
  throw new StartError(
    `--data: ${directory} is in use by a platform that runs already (${who}); stop it, or choose another directory`,
  );
}
