/**
 * Finds sandboxes that outlived their supervisor. One that is complete ends with it. One that was being made when
 * the supervisor was killed can be left waiting for its monitor for ever, with the listening sockets it inherited;
 * no list has it, but its command line names the directory it was made for.
 */
import { readdirSync, readFileSync } from "node:fs";
import { basename } from "node:path";
import { identify, type ProcessIdentity } from "../process-identity.ts";

/** Processes of bubblewrap that show something in this directory. Linux only: there are none elsewhere. */
export function sandboxesOf(directory: string): ProcessIdentity[] {
  if (process.platform !== "linux") return [];
  return readdirSync("/proc").flatMap((name) => {
    if (!/^\d+$/.test(name)) return [];
    const [program = "", ...args] = commandLine(name);
    if (basename(program) !== "bwrap") return [];
    if (!args.some((argument) => argument.startsWith(`${directory}/`))) return [];
    return identify(Number(name)) ?? [];
  });
}

function commandLine(pid: string): string[] {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, "utf8").split("\0");
  } catch {
    return []; // It ended just now.
  }
}
