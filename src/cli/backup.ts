/**
 * `skep backup`: copies all that a platform keeps into a new directory, while it serves. The directory gets its name when it
 * is whole.
 */
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync } from "node:fs";
import { join, relative, resolve } from "node:path";
import type { Surroundings } from "../supervisor/config.ts";
import { dataPaths, writePrivateFile } from "../supervisor/data-directory.ts";
import { parseSecretKeys, secretKeyId } from "../supervisor/secret-keys.ts";
import { checkDatabases, type DatabaseCheck } from "./backup/check-databases.ts";
import { DATA, KEY_FILE, sealBackup, type Manifest } from "./backup/manifest.ts";
import { Snapshot } from "./backup/snapshot.ts";
import type { LeftOut } from "./backup/one-namespace.ts";
import { takeSnapshot, type Taken } from "./backup/take.ts";
import { CommandError, UsageError, type CommandArguments } from "./command.ts";
import { readDataPaths } from "./running-platform.ts";

interface Report {
  readonly manifest: Manifest;
  readonly taken: Taken;
  readonly databases: number;
  readonly links: number;
  /** undefined: they could not be checked. */
  readonly check: DatabaseCheck | undefined;
  readonly leftOut: readonly LeftOut[];
}

export async function backup(args: CommandArguments, around: Surroundings): Promise<number> {
  const [given, ...more] = args.positionals;
  if (given === undefined || more.length > 0) {
    throw new UsageError("skep backup: expected one directory, which does not exist yet");
  }
  const root = resolve(readDataPaths(args.values, around).root);
  const target = resolve(given);
  refusePlaces(root, target);
  const partial = `${target}.partial-${process.pid}`;
  mkdirSync(join(partial, DATA), { recursive: true, mode: 0o700 });
  let report: Report;
  try {
    const { namespace } = args.values;
    report = await fill(partial, root, namespace, args.switches.has("with-keys"));
    renameSync(partial, target);
  } catch (error) {
    rmSync(partial, { recursive: true, force: true });
    throw error;
  }
  const damaged = report.check?.damaged ?? [];
  for (const line of damaged) process.stderr.write(`damaged before it was copied: ${line}\n`);
  process.stdout.write(describe(`${target}: ${root}`, report));
  return damaged.length === 0 ? 0 : 1;
}

async function fill(
  folder: string,
  root: string,
  namespace: string | undefined,
  hasKeys: boolean,
): Promise<Report> {
  const data = join(folder, DATA);
  const snapshot = new Snapshot(root, data);
  const taken = await takeSnapshot(dataPaths(root), snapshot);
  const leftOut = namespace === undefined ? [] : await keepOne(data, namespace);
  const isKept = (path: string) => existsSync(join(data, path));
  const databases = snapshot.files.filter((path) => path.endsWith(".sqlite") && isKept(path));
  const links = snapshot.links.filter(isKept).length;
  const check = await checkDatabases(data, databases);
  const keys = readKeys(root);
  if (hasKeys) {
    if (keys === undefined) {
      throw new CommandError(
        `--with-keys: ${root} has no ${KEY_FILE}; the environment has the keys`,
      );
    }
    writePrivateFile(join(data, KEY_FILE), keys);
  }
  const manifest = sealBackup(folder, {
    takenAt: taken.takenAt.toISOString(),
    ...(namespace !== undefined && { namespace }),
    accountId: readFileSync(join(data, "account"), "utf8").trim(),
    secretKeys: (parseSecretKeys(keys ?? "") ?? []).map(secretKeyId),
    hasKeys,
  });
  return { manifest, taken, databases: databases.length, links, check, leftOut };
}

async function keepOne(data: string, namespace: string): Promise<readonly LeftOut[]> {
  // It needs a newer Node than the rest of the command.
  const { keepOneNamespace } = await import("./backup/one-namespace.ts");
  return keepOneNamespace(data, namespace);
}

/** undefined: the platform gets its keys from the environment. */
function readKeys(root: string): string | undefined {
  const file = join(root, KEY_FILE);
  return existsSync(file) ? readFileSync(file, "utf8") : undefined;
}

function refusePlaces(root: string, target: string): void {
  if (!existsSync(join(root, "account"))) {
    throw new CommandError(`${root} holds no platform; name its data directory with --data`);
  }
  if (!relative(root, target).startsWith("..")) {
    throw new CommandError(`${target} is inside of the data directory; choose a place elsewhere`);
  }
  if (existsSync(target) && !isEmptyFolder(target)) {
    throw new CommandError(`${target} exists already; choose a new name for each backup`);
  }
}

export function isEmptyFolder(path: string): boolean {
  try {
    return readdirSync(path).length === 0;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOTDIR") return false;
    throw error;
  }
}

function describe(what: string, report: Report): string {
  const { manifest, taken, databases, links, check, leftOut } = report;
  const { pauseMs } = taken;
  const soundness =
    check === undefined
      ? "not checked, which needs Node 22.13"
      : check.damaged.length === 0
        ? "all sound"
        : `${check.damaged.length} damaged`;
  const shared = links === 0 ? "" : `; ${links} are hard links to the platform's own`;
  return [
    `${what} as of ${manifest.takenAt}`,
    `  files      ${manifest.files} of ${manifest.bytes} bytes together${shared}`,
    `  databases  ${databases}, ${soundness}`,
    `  pause      ${pauseMs === undefined ? "no platform was running" : `nothing could be written for ${Math.ceil(pauseMs)} ms`}`,
    `  keys       ${describeKeys(manifest)}`,
    `  checksum   ${manifest.sums} of SHA256SUMS`,
    ...leftOut.map(
      ({ script, kind, name }) =>
        `  left out   ${kind} ${name}, which ${script} is bound to: it is the account's; only a backup of everything has it`,
    ),
    "",
  ].join("\n");
}

/** What a start on these data needs to open the stored secrets. */
export function describeKeys({ secretKeys, hasKeys }: Manifest): string {
  if (secretKeys.length === 0) return "of the environment, not included";
  return `${secretKeys.join(", ")}, ${hasKeys ? "included" : "not included"}`;
}
