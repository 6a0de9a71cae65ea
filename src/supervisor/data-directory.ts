/**
 * The directory that holds everything a platform must keep, and the rules for opening it: it is created when
 * missing, and refused with one sentence when something is wrong with it. Nothing here is repaired silently
 * that could cost data.
 *
 *   account      id of the account, 32 hex digits
 *   token        the operator's API token, 0600
 *   secret.key   keys under which secrets are stored (secret-keys.ts), 0600; none if the environment has them
 *   ca/          key and certificate of the local CA, and the certificate the edges present
 *   state/       SQLite databases of the hub's Durable Objects
 *   blobs/       modules of versions
 *   store/       what functions keep: SQLite databases of the store's Durable Objects, and files
 *   objects/     Durable Objects of functions: SQLite databases, by script and class
 *   run/         sockets, generated configurations, process list; emptied at each start
 *   completed    empty; there once a first start has come to its end, examples included
 *   lock         the supervisor that uses the directory (directory-lock.ts)
 */
import { randomBytes } from "node:crypto";
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  realpathSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { dirname, join } from "node:path";
import { lockDirectory, type DirectoryLock } from "./directory-lock.ts";
import { newSecretKey, parseSecretKeys, SECRET_KEY_VARIABLE } from "./secret-keys.ts";
import { StartError } from "./start-error.ts";

/** Bearers can be told from other tools' tokens by it, in logs and by secret scanners. */
const TOKEN_PREFIX = "skep_";
const FOLDERS = ["ca", "state", "blobs", "store", "objects", "run"] as const;
/** The store's own. */
const STORE_FOLDERS = ["objects", "files"] as const;
const OWN_NAMES = new Set<string>([
  ...FOLDERS,
  "account",
  "token",
  "secret.key",
  "lock",
  "completed",
]);

export type DataPaths = Readonly<Record<(typeof FOLDERS)[number] | "root", string>>;

export interface DataDirectory {
  readonly paths: DataPaths;
  readonly accountId: string;
  readonly token: string;
  /** Newest first, with commas between. From the file as it is now, since `skep key rotate` changes it. */
  readonly secretKeys: () => string;
  readonly lock: DirectoryLock;
}

export function dataPaths(root: string): DataPaths {
  return {
    root,
    ca: join(root, "ca"),
    state: join(root, "state"),
    blobs: join(root, "blobs"),
    store: join(root, "store"),
    objects: join(root, "objects"),
    run: join(root, "run"),
  };
}

/** Whether no start on this directory has come to its end yet: the first one may have been killed half-way. */
export function isFirstStart({ root }: DataPaths): boolean {
  return !existsSync(join(root, "completed"));
}

export function noteCompletedStart({ root }: DataPaths): void {
  writeFileSync(join(root, "completed"), "");
}

/**
 * Creates what is missing, takes the lock and reads the keys.
 *
 * @param givenKeys Instead of those in `secret.key`.
 * @throws StartError
 */
export function openDataDirectory(directory: string, givenKeys?: string): DataDirectory {
  let paths: DataPaths;
  try {
    makeFolder(directory);
    refuseForeign(directory);
    paths = dataPaths(realpathSync(directory));
    chmodSync(paths.root, 0o700);
    for (const folder of FOLDERS) makeFolder(paths[folder]);
    for (const folder of STORE_FOLDERS) makeFolder(join(paths.store, folder));
  } catch (error) {
    throw asStartError(directory, error);
  }
  let lock: DirectoryLock | undefined;
  try {
    lock = lockDirectory(paths.root);
    // With state but without its key, a new key would make every stored secret unreadable for good.
    const mayCreate = readdirSync(paths.state).length === 0;
    return {
      paths,
      accountId: readOrCreate(paths.root, "account", mayCreate, {
        create: () => randomBytes(16).toString("hex"),
        isValid: (text) => /^[0-9a-f]{32}$/.test(text),
        expected: "32 hex digits",
      }),
      token: readOrCreate(paths.root, "token", true, {
        create: () => TOKEN_PREFIX + randomBytes(32).toString("base64url"),
        isValid: isToken,
        expected: `${TOKEN_PREFIX} and 43 base64url characters`,
      }),
      secretKeys:
        givenKeys === undefined
          ? openKeyFile(paths.root, mayCreate)
          : takeGivenKeys(paths.root, givenKeys),
      lock,
    };
  } catch (error) {
    lock?.release();
    throw asStartError(directory, error);
  }
}

export function isToken(text: string): boolean {
  return text.startsWith(TOKEN_PREFIX) && /^[\w-]{43}$/.test(text.slice(TOKEN_PREFIX.length));
}

/** Not mkdir's own `recursive`: in a place like /proc, where nothing can be made, Node tries for ever. */
function makeFolder(path: string): void {
  if (!existsSync(path)) {
    if (dirname(path) !== path) makeFolder(dirname(path));
    mkdirSync(path, { mode: 0o700 });
  }
  if (!statSync(path).isDirectory()) {
    throw new StartError(`--data: ${path} is a file where a directory is needed; move it away`);
  }
}

/** Guards against `--data .`: the files of somebody's project must not end up beside keys and state. */
function refuseForeign(directory: string): void {
  const names = readdirSync(directory);
  const foreign = names.find(
    (name) => !OWN_NAMES.has(name) && !/^(lock|account|token|secret\.key)\./.test(name),
  );
  if (foreign === undefined || names.includes("account")) return;
  throw new StartError(
    `--data: ${directory} holds other files (such as ${foreign}); choose an empty or a new directory`,
  );
}

function openKeyFile(root: string, mayCreate: boolean): () => string {
  const read = (create: boolean) =>
    readOrCreate(root, "secret.key", create, {
      create: newSecretKey,
      isValid: (text) => parseSecretKeys(text) !== undefined,
      expected: "base64 of 32 bytes in each line",
    });
  let text = read(mayCreate);
  return () => {
    try {
      text = read(false);
    } catch {
      // Whatever befell the file, the keys that were in it are better than a hub that cannot be started.
    }
    return parseSecretKeys(text)?.join(",") ?? "";
  };
}

/** One place for keys, so that it is never a question which of them stored secrets need. */
function takeGivenKeys(root: string, keys: string): () => string {
  const path = join(root, "secret.key");
  if (existsSync(path)) {
    throw new StartError(
      `${SECRET_KEY_VARIABLE} is set, but ${path} exists: put the keys of that file last into the variable and remove the file, or unset the variable`,
    );
  }
  return () => keys;
}

interface KeyFile {
  create(): string;
  isValid(text: string): boolean;
  readonly expected: string;
}

function readOrCreate(root: string, name: string, mayCreate: boolean, file: KeyFile): string {
  const path = join(root, name);
  if (existsSync(path)) {
    refuseOpenFile(path);
    const text = readFileSync(path, "utf8").trim();
    if (!file.isValid(text)) {
      throw new StartError(
        `--data: ${path} is damaged (expected ${file.expected}); restore it from a backup`,
      );
    }
    return text;
  }
  if (!mayCreate) {
    throw new StartError(
      `--data: ${path} is missing, but ${join(root, "state")} holds data that needs it; restore it from a backup`,
    );
  }
  const text = file.create();
  writePrivateFile(path, `${text}\n`);
  return text;
}

/** Not closed in silence: what others could read, somebody may have read. */
function refuseOpenFile(path: string): void {
  const mode = statSync(path).mode & 0o777;
  if ((mode & 0o077) === 0) return;
  throw new StartError(
    `--data: ${path} may be read by others (mode ${mode.toString(8)}); close it with "chmod 600 ${path}", and replace what is in it if anybody may have seen it`,
  );
}

/** Atomic: a reader, or a start after a crash, sees the old file or the whole new one. */
export function writePrivateFile(path: string, content: string): void {
  const temporary = `${path}.${process.pid}.tmp`;
  try {
    writeFileSync(temporary, content, { mode: 0o600, flush: true });
    renameSync(temporary, path);
  } catch (error) {
    rmSync(temporary, { force: true });
    throw error;
  }
}

const FILE_ERRORS: Readonly<Record<string, string>> = {
  EACCES: "permission is denied; change its owner or mode",
  EPERM: "permission is denied; change its owner or mode",
  EROFS: "the file system is read-only; choose another directory",
  ENOSPC: "the disk is full; free some space",
  ENOENT: "nothing can be created there; choose another directory",
  ENOTDIR: "a part of this path is a file; choose another directory",
  EEXIST: "a file is where a directory is needed; move it away",
  EISDIR: "a directory is where a file is needed; move it away",
  ELOOP: "its symbolic links form a loop; choose another directory",
  ENAMETOOLONG: "the path is too long; choose a shorter one",
};

function asStartError(directory: string, error: unknown): unknown {
  if (error instanceof StartError || !(error instanceof Error)) return error;
  const { code, path } = error as NodeJS.ErrnoException;
  const reason = code === undefined ? undefined : FILE_ERRORS[code];
  if (reason === undefined) return error;
  return new StartError(`--data: cannot use ${path ?? directory}: ${reason}`, { cause: error });
}
