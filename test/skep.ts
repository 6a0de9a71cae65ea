/** Runs the built `skep` command against a platform, as a person would. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { text } from "node:stream/consumers";
import { join } from "node:path";
import type { Platform } from "./platform.ts";

const CLI = join(import.meta.dirname, "../dist/cli.js");

export interface SkepRun {
  readonly exitCode: number | null;
  /** Standard output and standard error. */
  readonly output: string;
}

/** `input`: what is piped in. */
export async function skep(
  { data }: Platform,
  args: readonly string[],
  input = "",
): Promise<SkepRun> {
  const child = spawn(process.execPath, [CLI, ...args, "--data", data], {
    stdio: ["pipe", "pipe", "pipe"],
    env: { ...process.env, CI: "1", NO_COLOR: "1", WRANGLER_SEND_METRICS: "false" },
  });
  child.stdin.on("error", () => {
    // A command that reads no input has ended before it was all written.
  });
  child.stdin.end(input);
  const [out, err, [exitCode]] = await Promise.all([
    text(child.stdout),
    text(child.stderr),
    once(child, "exit") as Promise<[number | null]>,
  ]);
  return { exitCode, output: out + err };
}
