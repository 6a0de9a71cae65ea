/** Takes the copy of a data directory, running or not: everything in it is from one instant. */
import { setTimeout as sleep } from "node:timers/promises";
import { callControl } from "../../supervisor/control-client.ts";
import type { DataPaths } from "../../supervisor/data-directory.ts";
import { lockDirectory } from "../../supervisor/directory-lock.ts";
import { readPlatformState } from "../../supervisor/process-list.ts";
import { socketNames } from "../../supervisor/socket-names.ts";
import { CommandError } from "../command.ts";
import type { Snapshot } from "./snapshot.ts";

export interface Taken {
  readonly takenAt: Date;
  /** How long nothing could be written; undefined: no platform was running. */
  readonly pauseMs: number | undefined;
}

/** As little is left to copy when writers are held still, or so many passes did not help. */
const SMALL_PASS_BYTES = 16 * 1024 * 1024;
const MAX_PASSES = 6;
/** Of pauses that are broken because a process ends or starts just then. */
const MAX_TRIES = 40;
const RETRY_MS = 250;
const CALL_TIMEOUT_MS = 15_000;

export async function takeSnapshot({ root, run }: DataPaths, snapshot: Snapshot): Promise<Taken> {
  if (readPlatformState(run) === undefined) {
    const lock = lockDirectory(root);
    try {
      snapshot.pass();
      return { takenAt: new Date(), pauseMs: undefined };
    } finally {
      lock.release();
    }
  }
  // A socket's absolute path may be longer than the system allows.
  process.chdir(run);
  for (let pass = 0; pass < MAX_PASSES; pass++) {
    if (snapshot.pass().copiedBytes < SMALL_PASS_BYTES) break;
  }
  let reason: unknown;
  for (let tries = 0; tries < MAX_TRIES; tries++) {
    try {
      const taken = await passWithoutWriters(snapshot);
      if (taken !== undefined) return taken;
      reason = new Error("a process that writes ended or started, or the copy took too long");
    } catch (error) {
      reason = error;
    }
    if (readPlatformState(run) === undefined) {
      throw new CommandError(`the platform on ${root} has ended meanwhile; start again`);
    }
    await sleep(RETRY_MS);
    snapshot.pass();
  }
  throw new CommandError(`no consistent copy: ${String(reason)}; try again, or stop the platform`, {
    cause: reason,
  });
}

/** undefined: the pause did not last until the copy was complete. */
async function passWithoutWriters(snapshot: Snapshot): Promise<Taken | undefined> {
  const began = performance.now();
  await call("/pause");
  const takenAt = new Date();
  let answer: Buffer;
  try {
    snapshot.pass();
  } finally {
    answer = await call("/resume");
  }
  const { isUnbroken } = JSON.parse(answer.toString()) as { isUnbroken: boolean };
  return isUnbroken ? { takenAt, pauseMs: performance.now() - began } : undefined;
}

function call(path: string): Promise<Buffer> {
  return callControl({
    socket: socketNames.supervisor,
    method: "POST",
    path,
    timeoutMs: CALL_TIMEOUT_MS,
  });
}
