/**
 * Tells one process from another that later got the same pid: a process is its pid and the moment it
 * started. Locks and the list of child processes are believed only if both still match.
 */
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";

export interface ProcessIdentity {
  readonly pid: number;
  /** Opaque. On Linux the boot's id and clock ticks since boot, elsewhere what `ps` prints. */
  readonly startTime: string;
}

/** undefined: no process has this pid, or it has ended and only waits to be reaped. */
export function identify(pid: number): ProcessIdentity | undefined {
  const startTime = process.platform === "linux" ? linuxStartTime(pid) : psStartTime(pid);
  return startTime === undefined ? undefined : { pid, startTime };
}

export function isAlive({ pid, startTime }: ProcessIdentity): boolean {
  return identify(pid)?.startTime === startTime;
}

let bootId: string | undefined;

function linuxStartTime(pid: number): string | undefined {
  let stat: string;
  try {
    stat = readFileSync(`/proc/${pid}/stat`, "utf8");
  } catch {
    return undefined; // No such process: /proc has no other way to refuse this file.
  }
  // The second field is the command in parentheses, which may itself hold blanks and parentheses.
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  const [state] = fields;
  if (state === "Z" || state === "X") return undefined;
  bootId ??= readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim();
  // proc_pid_stat(5): `starttime` is field 22, and `fields` begins with field 3.
  return `${bootId}:${fields[22 - 3]}`;
}

function psStartTime(pid: number): string | undefined {
  try {
    const printed = execFileSync("ps", ["-o", "lstart=", "-p", String(pid)], {
      encoding: "utf8",
      stdio: ["ignore", "pipe", "ignore"],
    });
    return printed.trim() || undefined;
  } catch {
    return undefined; // `ps` fails if there is no such process.
  }
}
