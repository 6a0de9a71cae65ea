/**
 * What a backup says of itself: `backup.json`, and in `SHA256SUMS` the checksum of each file below `data/`, in the form that
 * `sha256sum --check` reads. `backup.json` has the checksum of `SHA256SUMS`: a backup with any file changed, missing or
 * added is refused.
 */
import { createHash } from "node:crypto";
import {
  closeSync,
  openSync,
  readdirSync,
  readFileSync,
  readSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { join } from "node:path";
import { CommandError } from "../command.ts";

/** Raised when an older `skep restore` could not read it any more. */
const FORMAT = 1;
const MANIFEST = "backup.json";
const SUMS = "SHA256SUMS";
export const DATA = "data";
/** Below `data/` only if the backup was made with keys. */
export const KEY_FILE = "secret.key";
const CHUNK_BYTES = 1 << 20;

export interface Manifest {
  readonly format: number;
  /** The instant that everything in it is from. */
  readonly takenAt: string;
  readonly accountId: string;
  /** It is of this dispatch namespace alone. */
  readonly namespace?: string;
  /** Ids of the keys that stored secrets may be sealed under; empty: the environment had them. */
  readonly secretKeys: readonly string[];
  readonly hasKeys: boolean;
  readonly files: number;
  readonly bytes: number;
  /** Checksum of `SHA256SUMS`. */
  readonly sums: string;
}

/** Checksum by path below `data/`. */
export type Sums = ReadonlyMap<string, string>;

/** Writes both files for what is below `data/`. */
export function sealBackup(
  folder: string,
  about: Pick<Manifest, "takenAt" | "accountId" | "namespace" | "secretKeys" | "hasKeys">,
): Manifest {
  let bytes = 0;
  const files = filesBelow(join(folder, DATA));
  const lines = files.map((path) => {
    const file = hashFile(join(folder, DATA, path));
    bytes += file.bytes;
    return `${file.sha256}  ${DATA}/${path}\n`;
  });
  const text = lines.join("");
  writeFileSync(join(folder, SUMS), text, { mode: 0o600, flush: true });
  const manifest = { format: FORMAT, ...about, files: files.length, bytes, sums: sha256(text) };
  const json = `${JSON.stringify(manifest, null, 2)}\n`;
  writeFileSync(join(folder, MANIFEST), json, { mode: 0o600, flush: true });
  return manifest;
}

/**
 * Whether the files are all there, but not what is in them.
 *
 * @throws CommandError
 */
export function openBackup(folder: string): { manifest: Manifest; sums: Sums } {
  const manifest = readManifest(folder);
  if (manifest.format !== FORMAT) {
    throw new CommandError(
      `${folder} has format ${manifest.format}, this Skep reads ${FORMAT}: use the Skep that made it`,
    );
  }
  const text = read(folder, SUMS);
  if (sha256(text) !== manifest.sums) throw torn(folder, `${SUMS} was changed`);
  const sums = new Map(
    text.split("\n").flatMap((line) => {
      const [, sum, path] = new RegExp(`^([0-9a-f]{64})  ${DATA}/(.+)$`).exec(line) ?? [];
      return sum === undefined || path === undefined ? [] : [[path, sum] as const];
    }),
  );
  const found = new Set(filesBelow(join(folder, DATA)));
  for (const path of sums.keys()) {
    if (!found.delete(path)) throw torn(folder, `${DATA}/${path} is missing`);
  }
  for (const path of found) throw torn(folder, `${DATA}/${path} does not belong to it`);
  return { manifest, sums };
}

function readManifest(folder: string): Manifest {
  const text = read(folder, MANIFEST);
  try {
    return JSON.parse(text) as Manifest;
  } catch {
    throw torn(folder, `${MANIFEST} is not whole`);
  }
}

function read(folder: string, name: string): string {
  try {
    return readFileSync(join(folder, name), "utf8");
  } catch (error) {
    if (!["ENOENT", "ENOTDIR"].includes((error as NodeJS.ErrnoException).code ?? "")) throw error;
    throw new CommandError(`${folder} is not a backup, or not a whole one: it has no ${name}`, {
      cause: error,
    });
  }
}

export function torn(folder: string, why: string): CommandError {
  return new CommandError(`${folder} is not what was backed up: ${why}; use another backup`);
}

/** Reads a file in pieces; with `copyTo`, writes them to a new file. */
export function hashFile(path: string, copyTo?: string): { sha256: string; bytes: number } {
  const hash = createHash("sha256");
  const chunk = Buffer.allocUnsafe(CHUNK_BYTES);
  let bytes = 0;
  const from = openSync(path, "r");
  const to = copyTo === undefined ? undefined : openSync(copyTo, "wx", 0o600);
  try {
    for (;;) {
      const read = readSync(from, chunk);
      if (read === 0) break;
      const piece = chunk.subarray(0, read);
      hash.update(piece);
      if (to !== undefined) writeAll(to, piece);
      bytes += read;
    }
  } finally {
    closeSync(from);
    if (to !== undefined) closeSync(to);
  }
  return { sha256: hash.digest("hex"), bytes };
}

function writeAll(fd: number, bytes: Uint8Array): void {
  for (let done = 0; done < bytes.byteLength;) done += writeSync(fd, bytes, done);
}

function sha256(text: string): string {
  return createHash("sha256").update(text).digest("hex");
}

/** Relative paths, sorted. */
function filesBelow(folder: string): string[] {
  const found: string[] = [];
  const walk = (path: string): void => {
    for (const entry of readdirSync(join(folder, path), { withFileTypes: true })) {
      const inner = path === "" ? entry.name : `${path}/${entry.name}`;
      if (entry.isDirectory()) walk(inner);
      else found.push(inner);
    }
  };
  walk("");
  return found.toSorted();
}
