/**
 * Finds out what sandbox can be made on this machine, by making one: whether a program is installed says little
 * about whether the kernel, a security module or the container around us lets it work.
 */
import { spawn } from "node:child_process";
import type { Writable } from "node:stream";
import { findProgram } from "../find-program.ts";
import { StartError } from "../start-error.ts";
import { bubblewrapCommand, sendFilter, type Bubblewrap, type View } from "./bubblewrap.ts";
import { seccompFilter } from "./seccomp.ts";
import { sharedLibraries } from "./shared-libraries.ts";

export interface Layers {
  /** undefined: there is no sandbox. */
  readonly bubblewrap: Bubblewrap | undefined;
  /** What keeps the sandbox from being whole. Empty: it is. */
  readonly missing: readonly MissingLayer[];
}

export interface MissingLayer {
  readonly layer: "namespaces" | "seccomp";
  /** A sentence without its full stop. */
  readonly why: string;
  /** The same. */
  readonly remedy: string;
}

/** Far more than it takes; a machine that is this slow has other worries. */
const PROBE_TIMEOUT_MS = 10_000;
const PROBE_SECCOMP_FD = 3;

const INSTALL = "install bubblewrap, such as with: apt install bubblewrap";
const ALLOW_NAMESPACES =
  "allow unprivileged user namespaces (sysctl kernel.unprivileged_userns_clone=1 and, on Ubuntu, " +
  "kernel.apparmor_restrict_unprivileged_userns=0; user.max_user_namespaces above 0); a container needs " +
  "--security-opt seccomp=unconfined --security-opt apparmor=unconfined, or its runtime's words for that";

/** `directories`: of what processes will have to see something, besides workerd. */
export async function detectLayers(
  binary: string,
  directories: readonly string[],
): Promise<Layers> {
  if (process.platform !== "linux") {
    return noSandbox(
      `${process.platform} has no namespaces`,
      "use Linux where functions are a stranger's",
    );
  }
  const path = findProgram("bwrap");
  if (path === undefined) return noSandbox("bubblewrap is not installed", INSTALL);
  const filter = seccompFilter(process.arch);
  try {
    const libraries = await sharedLibraries(binary);
    const view = { binary, workingDirectory: "/", readOnly: directories, writable: [] };
    const whole: Bubblewrap = { path, libraries, filter };
    const refused = await probe(whole, view);
    if (refused === undefined) return { bubblewrap: whole, missing: lackOfFilter(filter) };
    const bare: Bubblewrap = { path, libraries, filter: undefined };
    if (filter === undefined || (await probe(bare, view)) !== undefined) {
      return noSandbox(`bubblewrap does not work here: ${refused}`, ALLOW_NAMESPACES);
    }
    const missing = { layer: "seccomp", why: `the filter does not work here: ${refused}` } as const;
    return { bubblewrap: bare, missing: [{ ...missing, remedy: "use a kernel with seccomp" }] };
  } catch (error) {
    return noSandbox(`workerd cannot be tried in a sandbox: ${String(error)}`, INSTALL);
  }
}

/** @throws StartError that names what is missing and what helps. */
export function demandSandbox({ missing }: Layers): void {
  if (missing.length === 0) return;
  const reasons = missing.map(({ layer, why, remedy }) => `\n  ${layer}: ${why}; ${remedy}`);
  throw new StartError(`--require-sandbox: the sandbox is not whole:${reasons.join("")}`);
}

/** One line for people. */
export function describeLayers({ bubblewrap, missing }: Layers): string {
  const [first] = missing;
  if (first === undefined) return "on: namespaces, seccomp";
  const state = bubblewrap === undefined ? "off" : `without ${first.layer}`;
  return `${state}: ${first.why}; skep doctor tells what to do`;
}

function noSandbox(why: string, remedy: string): Layers {
  return {
    bubblewrap: undefined,
    missing: [
      { layer: "namespaces", why, remedy },
      { layer: "seccomp", why: "it is part of the same sandbox", remedy: "get namespaces" },
    ],
  };
}

function lackOfFilter(filter: Buffer | undefined): readonly MissingLayer[] {
  if (filter !== undefined) return [];
  const why = `the system calls of ${process.arch} are not known`;
  return [{ layer: "seccomp", why, remedy: "use x64 or arm64" }];
}

/** Starts workerd in a sandbox and lets it say its version. Resolves with what went wrong, if anything did. */
function probe(bubblewrap: Bubblewrap, view: View): Promise<string | undefined> {
  const { filter } = bubblewrap;
  const [file = "", ...args] = bubblewrapCommand(bubblewrap, view, {
    seccomp: filter && PROBE_SECCOMP_FD,
  });
  const child = spawn(file, [...args, "--version"], {
    env: {},
    timeout: PROBE_TIMEOUT_MS,
    killSignal: "SIGKILL",
    stdio: ["ignore", "ignore", "pipe", filter === undefined ? "ignore" : "pipe"],
  });
  if (filter !== undefined) sendFilter(child.stdio[PROBE_SECCOMP_FD] as Writable | null, filter);
  let words = "";
  child.stderr?.setEncoding("utf8").on("data", (text: string) => (words += text));
  return new Promise((resolve) => {
    child.once("error", (error) => resolve(error.message));
    child.once("close", (code, signal) => {
      if (code === 0) resolve(undefined);
      else resolve(words.trim().split("\n", 1)[0] || `it ended with ${signal ?? `code ${code}`}`);
    });
  });
}
