// What processes use, read from /proc (Linux).
import { readdirSync, readFileSync } from "node:fs";

/**
 * CPU time, user and system, that the living threads of these processes have used so far. Exact to the
 * nanosecond where `stat` counts in ticks of 10 ms. A process or thread that ends takes its share along.
 */
export function cpuMsOf(pids: readonly number[]): number {
  let nanoseconds = 0;
  for (const pid of pids) {
    for (const thread of readdirSync(`/proc/${pid}/task`)) {
      nanoseconds += Number(readThread(pid, thread).split(" ")[0] || 0);
    }
  }
  return nanoseconds / 1e6;
}

function readThread(pid: number, thread: string): string {
  try {
    return readFileSync(`/proc/${pid}/task/${thread}/schedstat`, "utf8");
  } catch {
    return ""; // ENOENT, ESRCH: the thread ended after it was listed.
  }
}

export interface MemoryUse {
  /** Pages of the process in memory, shared ones included. */
  readonly rssKiB: number;
  /** The same with each shared page divided by the number of processes that share it. */
  readonly pssKiB: number;
}

/** Summed over the processes. */
export function memoryOf(pids: readonly number[]): MemoryUse {
  let rssKiB = 0;
  let pssKiB = 0;
  for (const pid of pids) {
    const text = readFileSync(`/proc/${pid}/smaps_rollup`, "utf8");
    rssKiB += Number(/^Rss: +(\d+)/m.exec(text)?.[1]);
    pssKiB += Number(/^Pss: +(\d+)/m.exec(text)?.[1]);
  }
  return { rssKiB, pssKiB };
}
