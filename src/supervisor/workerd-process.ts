/**
 * One workerd process, from spawn to exit. It is ready when every socket of its configuration listens, which
 * workerd reports on a control descriptor. It is never restarted here (slot.ts does that).
 */
import { spawn, type ChildProcess } from "node:child_process";
import type { Readable } from "node:stream";
import { dieWithParent } from "./death-signal.ts";
import { createOutputLines } from "./output-lines.ts";
import { identify, type ProcessIdentity } from "./process-identity.ts";

export interface WorkerdCommand {
  readonly binary: string;
  /** Working directory; unix socket addresses in the configuration are relative to it. */
  readonly directory: string;
  /** Relative to `directory`. */
  readonly configFile: string;
  /** Names of all sockets in the configuration. */
  readonly sockets: readonly string[];
  /** Listening sockets to inherit: descriptor by name of the socket in the configuration. */
  readonly inherited: Readonly<Record<string, number>>;
  readonly environment: Readonly<Record<string, string>>;
}

export interface Exit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

/** Enough for workerd's report of a bad configuration or a Worker that does not start. */
const KEPT_ERROR_LINES = 12;
const FIRST_INHERITED_FD = 3;

export class WorkerdProcess {
  readonly name: string;
  /** Differs between all processes of one platform. */
  readonly life: number;
  /** undefined: could not be spawned, or ended at once. */
  readonly identity: ProcessIdentity | undefined;
  /** Rejects if the process ends before. Handled here, so nobody has to await it. */
  readonly ready: Promise<void>;
  readonly exited: Promise<Exit>;
  /** Milliseconds (performance.now) at which it became ready. */
  readyAt: number | undefined;
  exit: Exit | undefined;
  /** Set before it is asked to end: it takes no new requests. */
  draining = false;
  readonly #child: ChildProcess;
  readonly #errorLines: string[] = [];

  constructor(
    name: string,
    life: number,
    command: WorkerdCommand,
    output: (line: string, stream: "stdout" | "stderr") => void,
  ) {
    this.name = name;
    this.life = life;
    this.#child = spawnWorkerd(command);
    const { pid } = this.#child;
    this.identity = pid === undefined ? undefined : identify(pid);
    this.exited = new Promise((resolve) => {
      const ended = (exit: Exit) => {
        this.exit ??= exit;
        resolve(this.exit);
      };
      this.#child.once("error", (error) => {
        this.#errorLines.push(error.message);
        ended({ code: null, signal: null });
      });
      // `close` comes after the last output, but never if a grandchild holds a pipe: workerd has none.
      this.#child.once("close", (code, signal) => ended({ code, signal }));
    });
    this.#child.once("exit", (code, signal) => {
      this.exit = { code, signal };
    });
    this.#forward("stdout", output);
    this.#forward("stderr", output);
    this.ready = this.#watchReadiness(command.sockets);
    this.ready.catch(() => {});
  }

  get pid(): number | undefined {
    return this.#child.pid;
  }

  /** Why it ended, with its last words. */
  describeExit(): string {
    const { code, signal } = this.exit ?? { code: null, signal: null };
    const how = signal ? `was ended by ${signal}` : `ended with code ${code}`;
    return [`${this.name} ${how}`, ...this.#errorLines].join("\n  ");
  }

  kill(signal: NodeJS.Signals): void {
    if (this.exit === undefined) this.#child.kill(signal);
  }

  #forward(
    stream: "stdout" | "stderr",
    output: (line: string, stream: "stdout" | "stderr") => void,
  ): void {
    const lines = createOutputLines(
      `${this.name} | `,
      (line) => output(line, stream),
      () => performance.now(),
    );
    this.#child[stream]?.on("data", (chunk: Buffer) => {
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

  #watchReadiness(sockets: readonly string[]): Promise<void> {
    const waiting = new Set(sockets);
    const control = this.#child.stdio.at(-1) as Readable | null | undefined;
    return new Promise((resolve, reject) => {
      void this.exited.then(() => reject(new Error(this.describeExit())));
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
        if (waiting.size === 0) {
          this.readyAt ??= performance.now();
          resolve();
        }
      });
    });
  }
}

function spawnWorkerd(command: WorkerdCommand): ChildProcess {
  const { binary, directory, configFile, inherited, environment } = command;
  const entries = Object.entries(inherited);
  const [file = binary, ...args] = [
    ...dieWithParent(),
    binary,
    "serve",
    "--experimental",
    ...entries.map(([socket], index) => `--socket-fd=${socket}=${FIRST_INHERITED_FD + index}`),
    `--control-fd=${FIRST_INHERITED_FD + entries.length}`,
    configFile,
  ];
  return spawn(file, args, {
    cwd: directory,
    // A process group of its own: Ctrl-C in a terminal reaches the supervisor only, which drains.
    detached: true,
    stdio: ["ignore", "pipe", "pipe", ...entries.map(([, fd]) => fd), "pipe"],
    env: environment,
  });
}
