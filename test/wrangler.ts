/** Runs the real, unmodified wrangler of this repository against a platform, in a project of its own. */
import { execFile, spawn, type ChildProcess } from "node:child_process";
import { createInterface } from "node:readline";
import { mkdir, mkdtemp, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";

/** What wrangler's command starts, which is a process more. */
const CLI = join(import.meta.dirname, "../node_modules/wrangler/wrangler-dist/cli.js");

/** Keeps wrangler off the network and out of questions. */
const QUIET = {
  CI: "1",
  WRANGLER_SEND_METRICS: "false",
  WRANGLER_HIDE_BANNER: "true",
  CLOUDFLARE_CF_FETCH_ENABLED: "false",
  NO_COLOR: "1",
  // A third of a run is compiling wrangler.
  NODE_COMPILE_CACHE: join(tmpdir(), "skep-compile-cache"),
};

export interface WranglerRun {
  readonly exitCode: number;
  /** Standard output and standard error, as a person sees them. */
  readonly output: string;
}

/** A directory with these files; a `wrangler.toml` among them is what wrangler reads. */
export async function createProject(
  files: Readonly<Record<string, string | Uint8Array>>,
): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), "skep-project-"));
  for (const [name, content] of Object.entries(files)) {
    await mkdir(dirname(join(directory, name)), { recursive: true });
    await writeFile(join(directory, name), content);
  }
  return directory;
}

/** `env`: the three variables that point wrangler at a platform. */
export function wrangler(
  directory: string,
  env: Readonly<Record<string, string>>,
  ...args: string[]
): Promise<WranglerRun> {
  return wranglerWithInput("", directory, env, ...args);
}

/** As `wrangler`, with something on its standard input: what a person would type, such as a secret. */
export function wranglerWithInput(
  input: string,
  directory: string,
  env: Readonly<Record<string, string>>,
  ...args: string[]
): Promise<WranglerRun> {
  return new Promise((resolve) => {
    const child = execFile(
      process.execPath,
      ["--no-warnings", CLI, ...args],
      {
        cwd: directory,
        timeout: 60_000,
        env: { PATH: process.env["PATH"], HOME: directory, ...QUIET, ...env },
      },
      (error, stdout, stderr) => {
        const exitCode = error === null ? 0 : typeof error.code === "number" ? error.code : 1;
        resolve({ exitCode, output: stdout + stderr });
      },
    );
    child.stdin?.end(input);
  });
}

/** A command that goes on until it is killed, such as `tail`. What it prints comes line by line. */
export function startWrangler(
  directory: string,
  env: Readonly<Record<string, string>>,
  onLine: (line: string) => void,
  ...args: string[]
): ChildProcess {
  const child = spawn(process.execPath, ["--no-warnings", CLI, ...args], {
    cwd: directory,
    stdio: ["ignore", "pipe", "pipe"],
    env: { PATH: process.env["PATH"], HOME: directory, ...QUIET, ...env },
  });
  for (const stream of [child.stdout, child.stderr]) {
    createInterface({ input: stream }).on("line", onLine);
  }
  return child;
}
