/**
 * Looks closely at what protects the platform on this machine, for `skep doctor`: starts workerd as a cell is
 * started, and reads from the outside what is in force on it and what the supervisor can see of it.
 */
import {
  mkdirSync,
  mkdtempSync,
  openSync,
  closeSync,
  readFileSync,
  readlinkSync,
  readSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { WorkerdProcess } from "../workerd-process.ts";
import { detectLayers, type Layers, type MissingLayer } from "./layers.ts";

export interface Finding {
  readonly name: string;
  /** What it is good for. */
  readonly purpose: string;
  /** undefined: it is on. */
  readonly off?: Pick<MissingLayer, "why" | "remedy"> | undefined;
}

const NAMESPACES = ["user", "pid", "net", "mnt", "ipc", "uts"];

/** Rejects if workerd does not start at all. */
export async function examine(binary: string): Promise<readonly Finding[]> {
  const directory = mkdtempSync(join(tmpdir(), "skep-doctor-"));
  try {
    const layers = await detectLayers(binary, [directory]);
    const blank = startBlank(binary, directory, layers);
    try {
      await blank.ready;
      return findings(blank.workerdPid ?? 0, layers);
    } finally {
      blank.kill("SIGKILL");
      await blank.exited;
    }
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

function startBlank(binary: string, directory: string, { bubblewrap }: Layers): WorkerdProcess {
  const own = join(directory, "own");
  mkdirSync(own);
  const configFile = "blank.capnp";
  const socket = "own/blank.sock";
  writeFileSync(join(directory, configFile), blankConfig(socket));
  const command = {
    kind: "cell" as const,
    binary,
    directory,
    configFile,
    sockets: [socket],
    inherited: {},
    environment: {},
    sandbox: bubblewrap && {
      bubblewrap,
      readOnly: [join(directory, configFile)],
      writable: [own],
    },
  };
  return new WorkerdProcess("blank", 0, command, () => {
    // What it may have to say is in the rejection of `ready`.
  });
}

function blankConfig(socket: string): string {
  return `using Workerd = import "/workerd/workerd.capnp";
const config :Workerd.Config = (
  services = [(name = "internet", network = (allow = []))],
  sockets = [(name = "${socket}", address = "unix:${socket}", http = (), service = "internet")],
);
`;
}

function findings(pid: number, { missing }: Layers): readonly Finding[] {
  const lack = (layer: MissingLayer["layer"]) => missing.find((each) => each.layer === layer);
  const status = readStatus(pid);
  return [
    {
      name: "namespaces",
      purpose:
        "edges and cells see no network, no process and only the files and sockets that they need",
      off:
        lack("namespaces") ?? notAlone(pid) ?? expectStatus(status("CapBnd"), "0000000000000000"),
    },
    {
      name: "seccomp",
      purpose: "system calls that workerd never makes are refused",
      off: lack("seccomp") ?? expectStatus(status("Seccomp"), "2"),
    },
    {
      name: "no new privileges",
      purpose: "no process gains rights by starting a program",
      off:
        status("NoNewPrivs") === "1"
          ? undefined
          : { why: "neither bubblewrap nor setpriv works", remedy: "install util-linux" },
    },
    {
      name: "CPU and I/O clocks",
      purpose:
        "a process that a function, or its SQL, keeps busy for too long is noticed and ended",
      off: reasonOf(() => {
        readFileSync(`/proc/${pid}/task/${pid}/schedstat`);
        readFileSync(`/proc/${pid}/task/${pid}/io`);
      }),
    },
    {
      name: "ledger",
      purpose: "the function to blame is known, so that its neighbours are not taken for it",
      off: reasonOf(() => readMemory(pid)),
    },
    {
      name: "memory limits",
      purpose:
        "the supervisor reads the resident memory of processes, and replaces or ends the bloated",
      off: reasonOf(() => readFileSync(`/proc/${pid}/statm`)),
    },
  ];
}

function notAlone(pid: number): Finding["off"] {
  const shared = NAMESPACES.filter((name) => namespaceOf(pid, name) === namespaceOf("self", name));
  if (shared.length === 0) return undefined;
  return { why: `shared with the system: ${shared.join(", ")}`, remedy: "report this as a bug" };
}

/** Values of `/proc/PID/status` by name; empty where there is none. */
function readStatus(pid: number): (name: string) => string {
  let text = "";
  try {
    text = readFileSync(`/proc/${pid}/status`, "utf8");
  } catch {
    // There is no /proc: nothing is in force, as far as can be told.
  }
  return (name) => new RegExp(`^${name}:\\s*(.*)$`, "m").exec(text)?.[1] ?? "";
}

function namespaceOf(pid: number | "self", name: string): string | undefined {
  try {
    return readlinkSync(`/proc/${pid}/ns/${name}`);
  } catch {
    return undefined;
  }
}

function expectStatus(got: string, wanted: string): Finding["off"] {
  if (got === wanted) return undefined;
  return {
    why: `not in force on the process (${got} instead of ${wanted})`,
    remedy: "report this as a bug",
  };
}

function reasonOf(attempt: () => unknown): Finding["off"] {
  try {
    attempt();
    return undefined;
  } catch (error) {
    const remedy =
      process.platform === "linux"
        ? "mount /proc without hidepid, and allow the supervisor to trace its children (kernel.yama.ptrace_scope at most 1)"
        : "use Linux";
    return { why: error instanceof Error ? error.message : String(error), remedy };
  }
}

/** The first bytes of the program. */
function readMemory(pid: number): void {
  const [start = ""] = readFileSync(`/proc/${pid}/maps`, "latin1").split("-", 1);
  const fd = openSync(`/proc/${pid}/mem`, "r");
  try {
    readSync(fd, new Uint8Array(4), 0, 4, Number.parseInt(start, 16));
  } finally {
    closeSync(fd);
  }
}
