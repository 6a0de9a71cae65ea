/**
 * The objects of stateful scripts on disk: `objects/<scriptId>/<key of the class>/<id>.sqlite`, and in each class's
 * directory `metadata.sqlite`, where the runtime keeps its alarms. Only for scripts that no process runs of.
 */
import {
  existsSync,
  mkdirSync,
  readdirSync,
  renameSync,
  rmdirSync,
  rmSync,
  statSync,
} from "node:fs";
import { readdir, stat } from "node:fs/promises";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import type { ObjectChange, ObjectList } from "../../protocol/objects.ts";
import { INSTANCES_KEY, WATCH_MS } from "../../protocol/workflows.ts";

const ALARMS = "metadata.sqlite";
const OBJECT_ID = /^[0-9a-f]{64}$/;
/** Of an object's database and what SQLite has beside it. */
const FILE_ENDS = ["", "-wal", "-shm", "-journal"];
/** Of `stat`, whatever the file system's own are. */
const BLOCK_BYTES = 512;
const STATS_AT_ONCE = 64;
const OBJECT = /^([0-9a-f]{64})\.sqlite$/;
/** A database without tables. */
const EMPTY_BYTES = 4096;
/** They come from the registry; but what names a path is looked at where it does. */
const NAME = /^[0-9a-zA-Z_-]{1,100}$/;

export class ObjectFiles {
  readonly #root: string;

  constructor(root: string) {
    this.#root = root;
  }

  /** Where a script's objects lie; made if need be. */
  home(scriptId: string): string {
    const path = this.#path(scriptId);
    mkdirSync(path, { recursive: true, mode: 0o700 });
    return path;
  }

  /** Scripts that have files here. */
  scripts(): string[] {
    return readdirSync(this.#root).filter((name) => NAME.test(name));
  }

  /**
   * Unix milliseconds of the script's earliest alarm; undefined: it has none. What was left behind is due at once.
   * @throws if a database cannot be read
   */
  nextAlarm(scriptId: string): number | undefined {
    let nextMs: number | undefined;
    for (const key of namesIn(this.#path(scriptId))) {
      const file = join(this.#path(scriptId), key, ALARMS);
      if (!existsSync(file)) continue;
      const database = new DatabaseSync(file);
      try {
        const row = database.prepare("SELECT min(scheduled_time) AS ns FROM _cf_ALARM");
        row.setReadBigInts(true);
        const ns = (row.get() as { ns: bigint | null }).ns;
        if (ns !== null) nextMs = Math.min(nextMs ?? Infinity, dueMs(key, Number(ns / 1_000_000n)));
      } finally {
        database.close();
      }
    }
    return nextMs;
  }

  /**
   * Instances of Workflows that a process may have left in the midst of a step: those that the engine would look after
   * within so long. Others among them only sleep. @throws if a database cannot be read
   */
  leftBehind(scriptId: string): { readonly workflow: string; readonly ids: readonly string[] }[] {
    const untilNs = nanoseconds(Date.now() + WATCH_MS);
    return namesIn(this.#path(scriptId)).flatMap((key) => {
      const file = join(this.#path(scriptId), key, ALARMS);
      if (!key.startsWith(INSTANCES_KEY) || !existsSync(file)) return [];
      const database = new DatabaseSync(file, { readOnly: true });
      try {
        const ids = database
          .prepare("SELECT actor_name AS id FROM _cf_ALARM WHERE scheduled_time <= ?")
          .all(untilNs)
          .flatMap(({ id }) => (typeof id === "string" ? [id] : []));
        return ids.length === 0 ? [] : [{ workflow: key.slice(INSTANCES_KEY.length), ids }];
      } finally {
        database.close();
      }
    });
  }

  /** Done twice, it is as done once. */
  apply(change: ObjectChange): void {
    if (change.type === "renew") return;
    if (change.type === "delete") {
      const { scriptId, key } = change;
      rmSync(this.#path(scriptId, key), { recursive: true, force: true });
      this.#tidy(scriptId);
      return;
    }
    const { key, fromScriptId, toScriptId } = change;
    const from = this.#path(fromScriptId, key);
    if (!existsSync(from)) return;
    const to = this.#path(toScriptId, key);
    // What a process has made that was started for the new owner before the objects came.
    if (existsSync(to)) {
      if (namesIn(to).some((name) => OBJECT.test(name))) {
        throw new Error(`objects of class ${key} are in both ${fromScriptId} and ${toScriptId}`);
      }
      rmSync(to, { recursive: true });
    }
    this.home(toScriptId);
    renameSync(from, to);
    this.#tidy(fromScriptId);
  }

  /** With all that it has stored, and its alarm. One that is not there is no error. */
  remove(scriptId: string, key: string, id: string): void {
    if (!OBJECT_ID.test(id)) throw new TypeError(`not the id of an object: ${id}`);
    const folder = this.#path(scriptId, key);
    for (const end of FILE_ENDS) rmSync(join(folder, `${id}.sqlite${end}`), { force: true });
    const alarms = join(folder, ALARMS);
    if (!existsSync(alarms)) return;
    const database = new DatabaseSync(alarms);
    try {
      database.prepare("DELETE FROM _cf_ALARM WHERE actor_id = ?").run(id);
    } finally {
      database.close();
    }
  }

  /** What all of a script's files take of the disk; also while a process runs. */
  async bytes(scriptId: string): Promise<number> {
    let bytes = 0;
    const files = await readdir(this.#path(scriptId), { recursive: true }).catch(() => []);
    for (let at = 0; at < files.length; at += STATS_AT_ONCE) {
      const some = files.slice(at, at + STATS_AT_ONCE).map(async (name) => {
        const { blocks } = await stat(join(this.#path(scriptId), name));
        bytes += blocks * BLOCK_BYTES;
      });
      // One may be gone by now.
      await Promise.allSettled(some);
    }
    return bytes;
  }

  /** Those that have stored something; also while a process runs. */
  list(scriptId: string, key: string, after: string, limit: number): ObjectList {
    const ids = namesIn(this.#path(scriptId, key))
      .flatMap((name) => OBJECT.exec(name)?.[1] ?? [])
      .filter((id) => id > after)
      .sort();
    return { ids: ids.slice(0, limit), isTruncated: ids.length > limit };
  }

  /** Likewise, the newest first, from `offset` on; and how many there are. */
  newest(scriptId: string, key: string, offset: number, limit: number) {
    const path = this.#path(scriptId, key);
    const all = namesIn(path)
      .flatMap((name) => {
        const id = OBJECT.exec(name)?.[1];
        const file = id && statSync(join(path, name), { throwIfNoEntry: false });
        if (!file) return [];
        // One that was only asked for.
        const isEmpty = file.size <= EMPTY_BYTES && sizeOf(join(path, `${name}-wal`)) === 0;
        return isEmpty ? [] : [{ id, madeMs: file.birthtimeMs }];
      })
      .sort((a, b) => b.madeMs - a.madeMs);
    return { ids: all.slice(offset, offset + limit).map(({ id }) => id), total: all.length };
  }

  #path(...names: string[]): string {
    const wrong = names.find((name) => !NAME.test(name));
    if (wrong !== undefined) throw new TypeError(`not the name of a directory: ${wrong}`);
    return join(this.#root, ...names);
  }

  #tidy(scriptId: string): void {
    const path = this.#path(scriptId);
    if (existsSync(path) && readdirSync(path).length === 0) rmdirSync(path);
  }
}

function sizeOf(path: string): number {
  return statSync(path, { throwIfNoEntry: false })?.size ?? 0;
}

function namesIn(path: string): string[] {
  return existsSync(path) ? readdirSync(path) : [];
}

function dueMs(key: string, atMs: number): number {
  const nowMs = Date.now();
  return key.startsWith(INSTANCES_KEY) && atMs <= nowMs + WATCH_MS ? Math.min(atMs, nowMs) : atMs;
}

function nanoseconds(ms: number): bigint {
  return BigInt(ms) * 1_000_000n;
}
