/** How much CPU time a process has used, all its threads together. Linux only. */
import { readdirSync, readFileSync } from "node:fs";

/** Milliseconds; undefined if the process is gone or this system does not tell. */
export function cpuMsOf(pid: number): number | undefined {
  try {
    let nanoseconds = 0;
    for (const thread of readdirSync(`/proc/${pid}/task`)) {
      // The first field is the time spent on a CPU, in nanoseconds.
      nanoseconds += Number(
        readFileSync(`/proc/${pid}/task/${thread}/schedstat`, "utf8").split(" ", 1)[0],
      );
    }
    return nanoseconds / 1e6;
  } catch {
    return undefined;
  }
}

/** CPU time of the thread that runs JavaScript; undefined if the process is gone or this system does not tell. */
export function mainThreadNanoseconds(pid: number | undefined): string | undefined {
  if (pid === undefined) return undefined;
  try {
    return readFileSync(`/proc/${pid}/schedstat`, "utf8").split(" ", 1)[0];
  } catch {
    return undefined;
  }
}
