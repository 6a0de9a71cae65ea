/**
 * `skep key`: the keys under which functions' secrets are stored. A new key is written to the file before the hub
 * hears of it, and old ones are taken out after no secret needs them: killed at any point, the next start finds every
 * key that it needs, and another `skep key rotate` completes it.
 */
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import type { Reseal, ResealResult } from "../protocol/hub.ts";
import type { Surroundings } from "../supervisor/config.ts";
import { callControl } from "../supervisor/control-client.ts";
import { writePrivateFile } from "../supervisor/data-directory.ts";
import { lockDirectory, type DirectoryLock } from "../supervisor/directory-lock.ts";
import {
  formatSecretKeyFile,
  newSecretKey,
  parseSecretKeys,
  SECRET_KEY_VARIABLE,
  secretKeyId,
} from "../supervisor/secret-keys.ts";
import { RUN_DIRECTORIES, socketNames } from "../supervisor/socket-names.ts";
import { StartError } from "../supervisor/start-error.ts";
import { expectWords } from "./actions.ts";
import { CommandError, UsageError, type CommandArguments } from "./command.ts";
import { findPlatform, readDataPaths } from "./running-platform.ts";

/** All secrets are sealed anew meanwhile. */
const RESEAL_TIMEOUT_MS = 15 * 60_000;
/** A hub that was just lost is back by then. */
const TRIES = 20;
const RETRY_MS = 500;

export async function key(args: CommandArguments, around: Surroundings): Promise<number> {
  const [action, ...words] = args.positionals;
  if (action !== "rotate") {
    throw new UsageError(`skep key: expected rotate, got ${JSON.stringify(action ?? "")}`);
  }
  expectWords("key rotate", words, []);
  // Without one, nothing could open what is sealed.
  findPlatform(args.values, around);
  const { root, run } = readDataPaths(args.values, around);
  const file = join(root, "secret.key");
  // A socket's absolute path may be longer than the system allows.
  process.chdir(run);
  const lock = lockRotation();
  try {
    process.stdout.write(await (existsSync(file) ? rotateFile(file) : resealUnderNewest()));
  } finally {
    lock.release();
  }
  return 0;
}

/** Two at a time would drop each other's keys. */
function lockRotation(): DirectoryLock {
  try {
    return lockDirectory(RUN_DIRECTORIES.hub);
  } catch (error) {
    if (!(error instanceof StartError)) throw error;
    throw new CommandError('another "skep key rotate" is under way', { cause: error });
  }
}

async function rotateFile(file: string): Promise<string> {
  const before = parseSecretKeys(readFileSync(file, "utf8"));
  if (before === undefined) {
    throw new CommandError(`${file} is damaged; restore it from a backup`);
  }
  const next = newSecretKey();
  writePrivateFile(file, formatSecretKeyFile([next, ...before]));
  const { resealed } = await reseal(next);
  writePrivateFile(file, formatSecretKeyFile([next]));
  return [
    `${resealed} secrets are sealed anew under the key ${secretKeyId(next)}.`,
    `${before.map(secretKeyId).join(", ")} is no longer in ${file}; backups from before need it.`,
    "",
  ].join("\n");
}

async function resealUnderNewest(): Promise<string> {
  const { resealed } = await reseal(null);
  return [
    `${resealed} secrets are sealed anew under the first key of ${SECRET_KEY_VARIABLE}.`,
    "The others may be removed from it; backups from before need them.",
    "",
  ].join("\n");
}

async function reseal(next: string | null): Promise<ResealResult> {
  for (let tries = 1; ; tries++) {
    try {
      const answer = await callControl({
        socket: socketNames.admin,
        method: "POST",
        path: "/reseal",
        body: JSON.stringify({ key: next } satisfies Reseal),
        timeoutMs: RESEAL_TIMEOUT_MS,
      });
      return JSON.parse(answer.toString()) as ResealResult;
    } catch (error) {
      if (tries === TRIES) {
        throw new CommandError(
          'secrets could not all be sealed anew; all can be read, and "skep key rotate" may be repeated',
          { cause: error },
        );
      }
      await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
    }
  }
}
