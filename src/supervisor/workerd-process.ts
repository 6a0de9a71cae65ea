/**
 * One workerd process, from spawn to exit, in a sandbox or not. It is ready when every socket of its configuration
 * listens, which workerd reports on a control descriptor. It is never restarted here (slot.ts does that).
 *
 * In a sandbox the child that was spawned is bubblewrap's monitor, and workerd is the only child of that: whoever
 * reads clocks and memory needs `workerdPid`. Each of the two ends at once when the other one does.
 */
import { spawn, type ChildProcess } from "node:child_process";
import { writeFileSync } from "node:fs";
import { constants, setPriority } from "node:os";
import type { Readable, Writable } from "node:stream";
import { childPrefix } from "./death-signal.ts";
import { createOutputLines } from "./output-lines.ts";
import { identify, isAlive, type ProcessIdentity } from "./process-identity.ts";
import { bubblewrapCommand, sendFilter, type Bubblewrap, type View } from "./sandbox/bubblewrap.ts";
import { Markers } from "./watch/markers.ts";

export type ProcessKind = "hub" | "store" | "databases" | "egress" | "edge" | "cell" | "trial";

export interface WorkerdCommand {
  readonly kind: ProcessKind;
  /** Hex. undefined: it runs no tenants' code, and keeps no ledger. */
  readonly ledgerKey?: string;
  /** undefined: it sees what the supervisor sees. */
  readonly sandbox?: Sandbox | undefined;
  readonly binary: string;
  /** Working directory; unix socket addresses in the configuration are relative to it. */
  readonly directory: string;
  /** Relative to `directory`. */
  readonly configFile: string;
  /** Names of all sockets in the configuration. */
  readonly sockets: readonly string[];
  /** Whether its configuration lets it write to a directory of the platform's data; false if absent. */
  readonly writesData?: boolean;
  /** Listening sockets to inherit: descriptor by name of the socket in the configuration. */
  readonly inherited: Readonly<Record<string, number>>;
  readonly environment: Readonly<Record<string, string>>;
}

export interface Sandbox extends Pick<View, "readOnly" | "writable"> {
  readonly bubblewrap: Bubblewrap;
}

export interface Exit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

/** Enough for workerd's report of a bad configuration or a Worker that does not start. */
const KEPT_ERROR_LINES = 12;
const FIRST_INHERITED_FD = 3;
/** Cells that spin must not slow down those who have proven that they do not: a third of their weight each. */
const CELL_NICENESS = 5;
/** Those that are known to hurt, and may be many, must not slow down other cells either: a tenth of their weight. */
const MISTRUSTED_NICENESS = 15;
/** An exit code above this one is the number of a signal on top of it. */
const SIGNAL_CODES = 128;

export class WorkerdProcess {
  readonly name: string;
  readonly kind: ProcessKind;
  readonly writesData: boolean;
  /** Differs between all processes of one platform. */
  readonly life: number;
  /** Hex. undefined: it keeps no ledger. */
  readonly ledgerKey: string | undefined;
  /** undefined: it writes no markers. */
  readonly markers: Markers | undefined;
  /** Rejects if the process ends before. Handled here, so nobody has to await it. */
  readonly ready: Promise<void>;
  readonly exited: Promise<Exit>;
  /** Milliseconds (performance.now) at which it became ready. */
  readyAt: number | undefined;
  /** What it has written to its standard output and error so far. */
  outputBytes = 0;
  exit: Exit | undefined;
  /** Set before it is asked to end: it takes no new requests. */
  draining = false;
  readonly #child: ChildProcess;
  readonly #isSandboxed: boolean;
  readonly #identity: ProcessIdentity | undefined;
  #workerd: ProcessIdentity | undefined;
  readonly #errorLines: string[] = [];

  constructor(
    name: string,
    life: number,
    command: WorkerdCommand,
    output: (line: string, stream: "stdout" | "stderr") => void,
  ) {
    const { kind, ledgerKey, sandbox } = command;
    this.name = name;
    this.kind = kind;
    this.writesData = command.writesData ?? false;
    this.life = life;
    this.ledgerKey = ledgerKey;
    const writesMarkers = kind === "cell" || kind === "trial";
    this.markers = writesMarkers && ledgerKey ? new Markers(ledgerKey) : undefined;
    const { child, control, info } = spawnWorkerd(command);
    this.#child = child;
    this.#isSandboxed = sandbox !== undefined;
    this.#identity = child.pid === undefined ? undefined : identify(child.pid);
    if (!this.#isSandboxed) this.#workerd = this.#identity;
    this.exited = new Promise((resolve) => {
      const ended = (exit: Exit) => {
        this.exit ??= this.#own(exit);
        resolve(this.exit);
      };
      this.#child.once("error", (error) => {
        this.#errorLines.push(error.message);
        ended({ code: null, signal: null });
      });
      // `close` comes after the last output, when workerd has closed all that it had, whichever ended first.
      this.#child.once("close", (code, signal) => ended({ code, signal }));
    });
    this.#child.once("exit", (code, signal) => {
      this.exit = this.#own({ code, signal });
    });
    this.#forward("stdout", output);
    this.#forward("stderr", output);
    this.ready = this.#watchReadiness(command.sockets, control, info);
    this.ready.catch(() => {});
  }

  /** workerd's own. undefined: it could not be spawned, or its sandbox is being made: known when it is ready. */
  get workerdPid(): number | undefined {
    return this.#workerd?.pid;
  }

  /** The child that was spawned, and workerd if that is another one. Without those that ended at once. */
  get identities(): readonly ProcessIdentity[] {
    return [...new Set([this.#identity, this.#workerd])].flatMap((identity) => identity ?? []);
  }

  /** Why it ended, with its last words. */
  describeExit(): string {
    const { code, signal } = this.exit ?? { code: null, signal: null };
    const how = signal ? `was ended by ${signal}` : `ended with code ${code}`;
    return [`${this.name} ${how}`, ...this.#errorLines].join("\n  ");
  }

  /** It runs mistrusted code from now on. */
  giveWay(): void {
    for (const { pid } of this.identities) giveWay(pid, MISTRUSTED_NICENESS);
  }

  /** SIGTERM lets a process that is ready finish what it has; any other ends it at once. */
  kill(signal: "SIGTERM" | "SIGKILL"): void {
    if (this.exit !== undefined) return;
    // The kernel keeps signals from a sandbox's first process as long as it does not handle them, but SIGKILL.
    const sent = this.readyAt === undefined ? "SIGKILL" : signal;
    if (this.#workerd === undefined) endUnborn(this.#child);
    else if (isAlive(this.#workerd)) {
      try {
        process.kill(this.#workerd.pid, sent);
      } catch {
        // ESRCH: it ended by itself just now.
      }
    }
  }

  /** How workerd ended, from how the child did: the monitor reports a signal as shells do. */
  #own({ code, signal }: Exit): Exit {
    if (!this.#isSandboxed || code === null || code <= SIGNAL_CODES) return { code, signal };
    const number = code - SIGNAL_CODES;
    const [name] = Object.entries(constants.signals).find(([, value]) => value === number) ?? [];
    return name === undefined ? { code, signal } : { code: null, signal: name as NodeJS.Signals };
  }

  #forward(
    stream: "stdout" | "stderr",
    output: (line: string, stream: "stdout" | "stderr") => void,
  ): void {
    const lines = createOutputLines(
      `${this.name} | `,
      (line) => output(line, stream),
      () => performance.now(),
      stream === "stdout" ? this.markers : undefined,
    );
    this.#child[stream]?.on("data", (chunk: Buffer) => {
      this.outputBytes += chunk.byteLength;
      if (stream === "stderr") this.#keepErrorLines(chunk);
      lines.write(chunk);
    });
    this.#child[stream]?.on("end", () => lines.end());
  }

  #keepErrorLines(chunk: Buffer): void {
    if (this.readyAt !== undefined) return;
    this.#errorLines.push(...chunk.toString().split("\n").filter(Boolean));
    this.#errorLines.splice(KEPT_ERROR_LINES);
  }

  async #watchReadiness(
    sockets: readonly string[],
    control: Readable | undefined,
    info: Readable | undefined,
  ): Promise<void> {
    const ended = this.exited.then(() => {
      throw new Error(this.describeExit());
    });
    await Promise.race([ended, Promise.all([listening(sockets, control), this.#learnPid(info)])]);
    this.readyAt = performance.now();
  }

  async #learnPid(info: Readable | undefined): Promise<void> {
    if (info === undefined) return;
    const chunks: Buffer[] = [];
    for await (const chunk of info) chunks.push(chunk as Buffer);
    if (chunks.length === 0) return; // It ended; `exited` tells.
    const { "child-pid": pid } = JSON.parse(String(Buffer.concat(chunks))) as {
      "child-pid": number;
    };
    this.#workerd = identify(pid);
  }
}

/**
 * Ends a monitor and its child, which is not known yet. The child is bound to the monitor's life only when its sandbox
 * is complete, and would wait for ever before. Both are of one process group, whose signal the kernel delivers to a
 * child that is being forked, too.
 */
function endUnborn({ pid }: ChildProcess): void {
  if (pid === undefined) return;
  try {
    process.kill(-pid, "SIGKILL");
  } catch {
    // ESRCH: they ended by themselves just now.
  }
}

/** Resolves when workerd has reported all of them. */
function listening(sockets: readonly string[], control: Readable | undefined): Promise<void> {
  const waiting = new Set(sockets);
  return new Promise((resolve) => {
    let text = "";
    control?.on("error", () => {
      // The process ended; `exited` tells.
    });
    control?.setEncoding("utf8").on("data", (chunk: string) => {
      const lines = (text + chunk).split("\n");
      text = lines.pop() ?? "";
      for (const line of lines) {
        const message = JSON.parse(line) as { event: string; socket?: string };
        if (message.event === "listen" && message.socket) waiting.delete(message.socket);
      }
      if (waiting.size === 0) resolve();
    });
  });
}

interface Spawned {
  readonly child: ChildProcess;
  readonly control: Readable | undefined;
  /** Only of a sandbox. */
  readonly info: Readable | undefined;
}

function spawnWorkerd(command: WorkerdCommand): Spawned {
  const { binary, directory, configFile, inherited, environment, sandbox } = command;
  const entries = Object.entries(inherited);
  const control = FIRST_INHERITED_FD + entries.length;
  const info = control + 1;
  const seccomp = control + 2;
  const filter = sandbox?.bubblewrap.filter;
  const prefix =
    sandbox === undefined
      ? [...childPrefix(), binary]
      : bubblewrapCommand(
          sandbox.bubblewrap,
          { binary, workingDirectory: directory, ...sandbox },
          { info, seccomp: filter && seccomp },
        );
  const [file = binary, ...args] = [
    ...prefix,
    "serve",
    "--experimental",
    ...entries.map(([socket], index) => `--socket-fd=${socket}=${FIRST_INHERITED_FD + index}`),
    `--control-fd=${control}`,
    configFile,
  ];
  const child = spawn(file, args, {
    cwd: directory,
    // A session of its own: Ctrl-C in a terminal reaches the supervisor only, which drains; and no terminal can be
    // written to from a sandbox.
    detached: true,
    stdio: [
      "ignore",
      "pipe",
      "pipe",
      ...entries.map(([, fd]) => fd),
      "pipe",
      ...(sandbox === undefined ? [] : ["pipe" as const]),
      ...(filter === undefined ? [] : ["pipe" as const]),
    ],
    env: environment,
  });
  if (command.kind === "cell" || command.kind === "trial") giveWay(child.pid, CELL_NICENESS);
  const streamOf = (fd: number) => (child.stdio as (Readable | Writable | null | undefined)[])[fd];
  if (filter !== undefined) sendFilter(streamOf(seccomp) as Writable | undefined, filter);
  return {
    child,
    control: streamOf(control) as Readable | undefined,
    info: sandbox && (streamOf(info) as Readable | undefined),
  };
}

/**
 * It, and what its child processes and threads are later. Where Linux groups processes by session, niceness counts
 * only within a group, and the group has one of its own; without privileges it can be set ten times a second.
 */
function giveWay(pid: number | undefined, niceness: number): void {
  if (pid === undefined) return;
  try {
    setPriority(pid, niceness);
    writeFileSync(`/proc/${pid}/autogroup`, String(niceness));
  } catch {
    // It is gone already, or there are no such groups here.
  }
}
