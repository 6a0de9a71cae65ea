/**
 * `skep restore`: makes a data directory from a backup. It is made beside and gets its name when it is whole and each file is
 * what was backed up; what had the name before is kept under another.
 */
import { existsSync, mkdirSync, renameSync, rmSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import type { Surroundings } from "../supervisor/config.ts";
import { lockDirectory } from "../supervisor/directory-lock.ts";
import { describeKeys, isEmptyFolder } from "./backup.ts";
import { DATA, hashFile, openBackup, torn, type Manifest, type Sums } from "./backup/manifest.ts";
import { CommandError, UsageError, type CommandArguments } from "./command.ts";
import { readDataPaths } from "./running-platform.ts";

export function restore(args: CommandArguments, around: Surroundings): Promise<number> {
  const [given, ...more] = args.positionals;
  if (given === undefined || more.length > 0) {
    throw new UsageError("skep restore: expected the directory of one backup");
  }
  const folder = resolve(given);
  const { manifest, sums } = openBackup(folder);
  if (args.switches.has("check")) {
    for (const [path, sum] of sums) {
      if (hashFile(join(folder, DATA, path)).sha256 !== sum) throw changed(folder, path);
    }
    process.stdout.write(describe(`${folder} is whole`, manifest));
    return Promise.resolve(0);
  }
  const root = resolve(readDataPaths(args.values, around).root);
  const staged = `${root}.restoring-${process.pid}`;
  const release = claim(root, args.switches.has("force"));
  try {
    copyAll(folder, sums, staged);
    const kept = exchange(root, staged);
    process.stdout.write(describe(`${root} is restored from ${folder}`, manifest));
    if (kept !== undefined) process.stdout.write(`  before     kept as ${kept}\n`);
    process.stdout.write(nextStep(root, manifest));
  } catch (error) {
    rmSync(staged, { recursive: true, force: true });
    release();
    throw error;
  }
  return Promise.resolve(0);
}

/** No platform may be running on what is replaced, nor start there meanwhile. */
function claim(root: string, isForced: boolean): () => void {
  if (!existsSync(root) || isEmptyFolder(root)) return () => {};
  if (!isForced) {
    throw new CommandError(
      `${root} exists already; with --force the backup takes its place and it is kept beside`,
    );
  }
  const lock = lockDirectory(root);
  return () => lock.release();
}

function copyAll(folder: string, sums: Sums, staged: string): void {
  mkdirSync(staged, { recursive: true, mode: 0o700 });
  for (const [path, sum] of sums) {
    const to = join(staged, path);
    mkdirSync(dirname(to), { recursive: true, mode: 0o700 });
    if (hashFile(join(folder, DATA, path), to).sha256 !== sum) throw changed(folder, path);
  }
}

/** Returns where that is which had the name before. */
function exchange(root: string, staged: string): string | undefined {
  const isReplaced = existsSync(root) && !isEmptyFolder(root);
  const aside = `${root}.before-${new Date().toISOString().replaceAll(":", "-")}`;
  try {
    if (isReplaced) renameSync(root, aside);
    try {
      // Over an empty directory, too.
      renameSync(staged, root);
    } catch (error) {
      if (isReplaced) renameSync(aside, root);
      throw error;
    }
  } catch (error) {
    throw new CommandError(
      `${root} cannot be replaced (${String(error)}); if it is a mount point, restore into a directory below it`,
      { cause: error },
    );
  }
  if (!isReplaced) return undefined;
  rmSync(join(aside, "lock"), { force: true });
  return aside;
}

function changed(folder: string, path: string): CommandError {
  return torn(folder, `${DATA}/${path} was changed`);
}

function describe(what: string, manifest: Manifest): string {
  return [
    `${what}, as of ${manifest.takenAt}`,
    `  files      ${manifest.files} of ${manifest.bytes} bytes together, each as its checksum says`,
    `  keys       ${describeKeys(manifest)}`,
    `  checksum   ${manifest.sums} of SHA256SUMS`,
    "",
  ].join("\n");
}

function nextStep(root: string, { secretKeys, hasKeys }: Manifest): string {
  if (hasKeys) return "";
  return secretKeys.length === 0
    ? "Start it with the keys of secrets in SKEP_SECRET_KEY.\n"
    : `Put secret.key of ${secretKeys.join(", ")} into ${root} before you start it.\n`;
}
