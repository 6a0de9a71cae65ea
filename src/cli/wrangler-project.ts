/** Runs the wrangler of a project against a platform, so that everything its configuration says is heeded. */
import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, realpathSync } from "node:fs";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { delimiter, dirname, join } from "node:path";
import { promisify } from "node:util";
import { CommandError } from "./command.ts";
import type { RunningPlatform } from "./running-platform.ts";

const CONFIGS = ["wrangler.json", "wrangler.jsonc", "wrangler.toml"];

export function isWranglerProject(directory: string): boolean {
  return CONFIGS.some((name) => existsSync(join(directory, name)));
}

/** `skep deploy`'s own part in what wrangler did. */
export interface WranglerOutput {
  readonly type: string;
  readonly worker_name?: string | null;
  readonly version_id?: string | null;
}

/**
 * Its output goes to the terminal. Returns what it reports for programs to read.
 * @param baseUrl Of the API, without `/client/v4`
 * @throws CommandError if it is not there, or fails
 */
export async function runWrangler(
  directory: string,
  { state, token }: RunningPlatform,
  baseUrl: string,
  args: readonly string[],
): Promise<WranglerOutput[]> {
  const bin = findWrangler(directory);
  const scratch = await mkdtemp(join(tmpdir(), "skep-wrangler-"));
  const report = join(scratch, "output.ndjson");
  try {
    const child = spawn(bin, args, {
      cwd: directory,
      stdio: "inherit",
      env: {
        ...process.env,
        CLOUDFLARE_API_BASE_URL: `${baseUrl}/client/v4`,
        CLOUDFLARE_API_TOKEN: token,
        CLOUDFLARE_ACCOUNT_ID: state.accountId,
        WRANGLER_OUTPUT_FILE_PATH: report,
      },
    });
    const [code] = (await once(child, "exit")) as [number | null];
    if (code !== 0) throw new CommandError(`wrangler ${args.join(" ")} failed`);
    const lines = (await readFile(report, "utf8")).split("\n").filter((line) => line !== "");
    return lines.map((line) => JSON.parse(line) as WranglerOutput);
  } finally {
    await rm(scratch, { recursive: true, force: true });
  }
}

/** Prints what a configuration says of triggers, as wrangler reads it. Arguments: the package, and the environment. */
const READ_TRIGGERS = `
const { unstable_readConfig } = require(process.argv[1]);
const env = process.argv[2] || undefined;
const options = { hideWarnings: true, useRedirectIfAvailable: true };
console.log(JSON.stringify(unstable_readConfig({ env }, options).triggers));
`;

/** `triggers.crons`, which wrangler does not send for a dispatch namespace. undefined: it has none. */
export async function configuredCrons(
  directory: string,
  env: string | undefined,
): Promise<readonly string[] | undefined> {
  const bin = findWrangler(directory);
  // It is a link into the package, or a script beside it.
  const packages = [dirname(dirname(realpathSync(bin))), join(dirname(bin), "../wrangler")];
  const found = packages.find((path) => existsSync(join(path, "wrangler-dist")));
  if (found === undefined) {
    throw new CommandError(`${bin} belongs to no package of wrangler: its triggers cannot be read`);
  }
  // With the Node that runs wrangler, not ours.
  const args = ["-e", READ_TRIGGERS, found, env ?? ""];
  try {
    const { stdout } = await promisify(execFile)("node", args, { cwd: directory });
    return (JSON.parse(stdout) as { crons?: readonly string[] }).crons;
  } catch (error) {
    throw new CommandError(`the triggers of ${directory} cannot be read`, { cause: error });
  }
}

/** The project's own, or that of a directory above it, or the one in PATH. */
function findWrangler(directory: string): string {
  const candidates: string[] = [];
  for (let at = directory; ; at = dirname(at)) {
    candidates.push(join(at, "node_modules/.bin/wrangler"));
    if (at === dirname(at)) break;
  }
  for (const at of (process.env["PATH"] ?? "").split(delimiter))
    candidates.push(join(at, "wrangler"));
  const found = candidates.find((candidate) => existsSync(candidate));
  if (found !== undefined) return found;
  throw new CommandError(
    `${directory} has a wrangler configuration, but there is no wrangler; install it there with "npm install --save-dev wrangler"`,
  );
}
