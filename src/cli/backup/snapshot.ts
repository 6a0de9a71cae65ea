/**
 * A copy of a tree of files that others write to. `pass` brings it up to date; the pass that is made while nobody writes
 * (src/supervisor/writer-pause.ts) makes it exactly what the tree is then, and has only to copy what has changed since the
 * pass before: so writers stand still for a moment, however much there is.
 *
 * Files below FINAL are complete when they get their name and never change: they become hard links, where the file
 * system has them. SQLite's databases are copied with their write-ahead logs, without its shared memory.
 */
import {
  constants,
  copyFileSync,
  linkSync,
  mkdirSync,
  readdirSync,
  rmSync,
  statSync,
  type BigIntStats,
} from "node:fs";
import { dirname, join } from "node:path";

export interface Pass {
  readonly copiedBytes: number;
}

interface Copied {
  readonly sizeBytes: bigint;
  readonly modifiedNs: bigint;
  readonly inode: bigint;
  /** Changed so shortly before it was copied that a later change may bear the same time. */
  readonly isFresh: boolean;
  readonly isLink: boolean;
}

const FINAL = ["blobs/", "store/files/"];
/** Of the platform's own start and running, made anew by the next one. */
const LEFT_OUT = /^(run|lock|token|ca|secret\.key)(\..*)?$/;
/** Coarser than the clock that the system takes these times from. */
const FRESH_NS = 100_000_000n;
const NO_LINKS = new Set(["EXDEV", "EPERM", "EMLINK", "ENOTSUP"]);

export class Snapshot {
  readonly #root: string;
  readonly #target: string;
  readonly #copied = new Map<string, Copied>();

  constructor(root: string, target: string) {
    this.#root = root;
    this.#target = target;
  }

  /** Relative paths, sorted. */
  get files(): readonly string[] {
    return [...this.#copied.keys()].toSorted();
  }

  /** Those that are hard links. */
  get links(): readonly string[] {
    return [...this.#copied].flatMap(([path, { isLink }]) => (isLink ? [path] : []));
  }

  pass(): Pass {
    const gone = new Set(this.#copied.keys());
    let copiedBytes = 0;
    for (const path of walk(this.#root)) {
      const stats = statOf(join(this.#root, path));
      if (stats === undefined) continue;
      const before = this.#copied.get(path);
      if (before === undefined || hasChanged(before, stats)) {
        if (!this.#take(path, stats)) continue;
        if (!this.#copied.get(path)?.isLink) copiedBytes += Number(stats.size);
      }
      gone.delete(path);
    }
    for (const path of gone) {
      rmSync(join(this.#target, path), { force: true });
      this.#copied.delete(path);
    }
    return { copiedBytes };
  }

  /** false: it has gone meanwhile. */
  #take(path: string, stats: BigIntStats): boolean {
    const from = join(this.#root, path);
    const to = join(this.#target, path);
    const isFresh = BigInt(Date.now()) * 1_000_000n - stats.mtimeNs < FRESH_NS;
    mkdirSync(dirname(to), { recursive: true, mode: 0o700 });
    rmSync(to, { force: true });
    try {
      const isLink = FINAL.some((folder) => path.startsWith(folder)) && tryLink(from, to);
      // Where the file system can, the copy shares the blocks of the original until one of them changes.
      if (!isLink) copyFileSync(from, to, constants.COPYFILE_FICLONE);
      const { size, mtimeNs, ino } = stats;
      this.#copied.set(path, { sizeBytes: size, modifiedNs: mtimeNs, inode: ino, isFresh, isLink });
      return true;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === "ENOENT") return false;
      throw error;
    }
  }
}

function hasChanged(before: Copied, { size, mtimeNs, ino }: BigIntStats): boolean {
  if (before.isLink) return before.inode !== ino;
  return (
    before.isFresh ||
    before.sizeBytes !== size ||
    before.modifiedNs !== mtimeNs ||
    before.inode !== ino
  );
}

function tryLink(from: string, to: string): boolean {
  try {
    linkSync(from, to);
    return true;
  } catch (error) {
    if (NO_LINKS.has((error as NodeJS.ErrnoException).code ?? "")) return false;
    throw error;
  }
}

/** undefined: it has gone since it was listed. */
function statOf(path: string): BigIntStats | undefined {
  return statSync(path, { bigint: true, throwIfNoEntry: false });
}

/** Paths of all files that belong into a backup, relative to `root`. */
function* walk(root: string, folder = ""): Generator<string> {
  for (const entry of entriesOf(join(root, folder))) {
    const path = folder === "" ? entry.name : `${folder}/${entry.name}`;
    if (folder === "" && LEFT_OUT.test(entry.name)) continue;
    if (entry.isDirectory()) yield* walk(root, path);
    else if (entry.isFile() && !isPassing(entry.name)) yield path;
  }
}

/** SQLite's shared memory, and files that the runtime is still writing. */
function isPassing(name: string): boolean {
  return name.endsWith("-shm") || name.startsWith(".kj-tmp.");
}

function entriesOf(folder: string) {
  try {
    return readdirSync(folder, { withFileTypes: true });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return [];
    throw error;
  }
}
