/**
 * The command line of bubblewrap, which puts one process into a world of its own: no network, no other
 * process, no capability, and of the file system only what is named here, at the paths it has outside.
 */
import type { Writable } from "node:stream";

/** What was found to work on this machine (layers.ts). */
export interface Bubblewrap {
  readonly path: string;
  /** Shared libraries of workerd and the loader of the system: absolute paths. */
  readonly libraries: readonly string[];
  /** A seccomp filter as the kernel takes it; undefined: none works here. */
  readonly filter: Buffer | undefined;
}

/** What one process may see of the file system. Absolute paths of what exists. */
export interface View {
  readonly binary: string;
  readonly workingDirectory: string;
  /** Files, and directories with all that will be in them. A socket in them may be connected to. */
  readonly readOnly: readonly string[];
  readonly writable: readonly string[];
}

/** Descriptors that bubblewrap inherits and the process does not. */
export interface BubblewrapDescriptors {
  /** It writes the pid of the process there, as this system counts. */
  readonly info?: number | undefined;
  /** It reads the filter from there. */
  readonly seccomp?: number | undefined;
}

/** Arguments to put in front of those of the binary; the first is the program to run. */
export function bubblewrapCommand(
  { path, libraries }: Pick<Bubblewrap, "path" | "libraries">,
  { binary, workingDirectory, readOnly, writable }: View,
  { info, seccomp }: BubblewrapDescriptors,
): readonly string[] {
  const bind = (option: string) => (file: string) => [option, file, file];
  return [
    path,
    ...["user", "pid", "ipc", "uts", "net"].map((namespace) => `--unshare-${namespace}`),
    "--unshare-cgroup-try",
    "--cap-drop",
    "ALL",
    "--clearenv",
    "--die-with-parent",
    // Its own pid 1: one process fewer, and a signal to it reaches workerd itself.
    "--as-pid-1",
    ...(info === undefined ? [] : ["--info-fd", String(info)]),
    ...(seccomp === undefined ? [] : ["--seccomp", String(seccomp)]),
    "--dev-bind",
    "/dev/urandom",
    "/dev/urandom",
    // workerd looks for itself there. A real /proc cannot be had inside of most containers, and shows more.
    "--symlink",
    binary,
    "/proc/self/exe",
    ...[binary, ...libraries, ...readOnly].flatMap(bind("--ro-bind")),
    ...writable.flatMap(bind("--bind")),
    // The root is a file system in memory that nobody may fill.
    "--remount-ro",
    "/",
    "--chdir",
    workingDirectory,
    "--",
    binary,
  ];
}

/** `to`: the other end of the descriptor that bubblewrap reads its filter from. */
export function sendFilter(to: Writable | null | undefined, filter: Buffer): void {
  to?.on("error", () => {
    // Bubblewrap ended before it read the filter, and whoever started it learns that.
  });
  to?.end(filter, () => to.destroy());
}
