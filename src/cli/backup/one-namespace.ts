/**
 * Leaves of a copied data directory what one dispatch namespace is made of: its scripts with their settings, versions and
 * history, its own resources with all that is in them, its routes and figures. It is a data directory as any other, so it
 * is restored as one: a platform with that namespace alone.
 *
 * Not left: whatever belongs to others or to the account, such as tokens, the audit log, Workers outside of namespaces and
 * their resources. A script that is bound to a resource of the account keeps the binding, which leads nowhere.
 */
import { createHash, createHmac } from "node:crypto";
import { readdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { CommandError } from "../command.ts";

interface Kept {
  readonly namespaceId: string;
  readonly scripts: readonly { readonly id: string; readonly name: string }[];
  /** `{kind, id}` */
  readonly resources: readonly { readonly kind: string; readonly id: string }[];
  readonly blobs: ReadonlySet<string>;
  readonly leftOut: readonly LeftOut[];
}

const REGISTRY = `state/Registry/${objectId("Registry", "registry")}.sqlite`;
/** Where the runtime keeps the alarms of a class's objects. */
const ALARMS = "metadata.sqlite";

/** What a function is bound to and the copy lacks, since it is the account's. */
export interface LeftOut {
  readonly script: string;
  readonly kind: string;
  readonly name: string;
}

/** @throws CommandError if there is no such namespace. */
export function keepOneNamespace(data: string, name: string): readonly LeftOut[] {
  const kept = pruneRegistry(join(data, REGISTRY), name);
  const objects = objectsOf(kept);
  const named = new Set([
    ...kept.scripts.map(({ id }) => id),
    ...kept.resources.map(({ id }) => id),
    ...objects,
  ]);
  for (const folder of ["state", "store/objects"]) {
    for (const className of namesIn(join(data, folder))) {
      for (const file of namesIn(join(data, folder, className))) {
        const path = join(data, folder, className, file);
        if (file === ALARMS) pruneAlarms(path, objects);
        // Its write-ahead log is taken up, and goes, with it.
        else if (file.startsWith(ALARMS)) continue;
        else if (!objects.has(file.slice(0, file.indexOf(".")))) rmSync(path);
      }
    }
  }
  keepNamed(join(data, "blobs"), kept.blobs);
  keepNamed(join(data, "objects"), named);
  for (const kind of namesIn(join(data, "store/files"))) {
    keepNamed(join(data, "store/files", kind), named);
  }
  return kept.leftOut;
}

function pruneRegistry(path: string, name: string): Kept {
  const database = new DatabaseSync(path, { enableForeignKeyConstraints: true });
  try {
    const all = database.prepare(`SELECT id, name FROM namespaces WHERE kind = 'dispatch'`).all();
    const namespaceId = all.find((row) => row["name"] === name)?.["id"];
    if (typeof namespaceId !== "string") {
      const names = all.map((row) => String(row["name"])).join(", ");
      throw new CommandError(
        `--namespace: there is no dispatch namespace ${name}; there are ${names}`,
      );
    }
    const leftOut = database
      .prepare(
        `SELECT DISTINCT scripts.name AS script, resources.kind, resources.name
         FROM scripts JOIN versions ON versions.id = scripts.version_id, json_each(versions.bindings) AS binding
         JOIN resources ON resources.id = binding.value ->> 'resourceId'
         WHERE scripts.namespace_id = :id AND resources.namespace_id IS NOT :id ORDER BY script, kind, resources.name`,
      )
      .all({ id: namespaceId }) as unknown as readonly LeftOut[];
    database.exec("BEGIN");
    database.prepare(`DELETE FROM scripts WHERE namespace_id <> ?`).run(namespaceId);
    database.prepare(`DELETE FROM resources WHERE namespace_id IS NOT ?`).run(namespaceId);
    database.prepare(`DELETE FROM namespaces WHERE kind = 'dispatch' AND id <> ?`).run(namespaceId);
    for (const table of ["tokens", "audit", "zones", "previews", "outbox", "uploads"]) {
      database.exec(`DELETE FROM ${table}`);
    }
    database.prepare(`DELETE FROM events WHERE namespace_id IS NOT ?`).run(namespaceId);
    // What is left is told to the store anew, which keeps all schedules together.
    database.exec(`DELETE FROM store_changes`);
    database.exec(`INSERT INTO store_changes (kind, id) SELECT kind, id FROM resources`);
    database.exec(`INSERT INTO store_changes (kind, id) SELECT 'script', id FROM scripts`);
    database.exec("COMMIT");
    const list = (sql: string) =>
      database.prepare(sql).all() as unknown as readonly { id: string }[];
    const blobs = list(
      `SELECT blob AS id FROM versions UNION SELECT blob FROM assets
       UNION SELECT blob FROM asset_manifests UNION SELECT blob FROM asset_sessions`,
    );
    const kept = {
      namespaceId,
      scripts: list(`SELECT id, name FROM scripts`) as Kept["scripts"],
      resources: list(`SELECT kind, id FROM resources`) as Kept["resources"],
      blobs: new Set(blobs.map(({ id }) => id)),
      leftOut,
    };
    database
      .prepare(`DELETE FROM blobs WHERE hash NOT IN (SELECT value FROM json_each(?))`)
      .run(JSON.stringify([...kept.blobs]));
    // Deleted rows would else stand in free pages.
    database.exec("VACUUM");
    return kept;
  } finally {
    database.close();
  }
}

/** Ids of the Durable Objects of hub and store that belong to what is kept. */
function objectsOf({ namespaceId, scripts, resources }: Kept): ReadonlySet<string> {
  const classes = { kv: "KvNamespace", r2: "R2Bucket", d1: "D1Database", queue: "QueueObject" };
  const ids = [
    objectId("Registry", "registry"),
    objectId("AnalyticsStore", namespaceId),
    objectId("FunctionLogs", namespaceId),
    objectId("QuotaBook", namespaceId),
  ];
  for (const { id, name } of scripts) {
    ids.push(objectId("FunctionMetrics", `${namespaceId}/${name}`));
    ids.push(objectId("FunctionLogs", `${namespaceId}/${name}`));
    ids.push(objectId("Invocations", id));
    ids.push(objectId("ObjectRoom", id));
  }
  for (const { kind, id } of resources) {
    ids.push(objectId(classes[kind as keyof typeof classes], id));
    ids.push(objectId("ChangeFollower", `${kind}/${id}`));
  }
  return new Set(ids);
}

function pruneAlarms(path: string, objects: ReadonlySet<string>): void {
  const database = new DatabaseSync(path);
  try {
    database
      .prepare(`DELETE FROM _cf_ALARM WHERE actor_id NOT IN (SELECT value FROM json_each(?))`)
      .run(JSON.stringify([...objects]));
    database.exec("VACUUM");
  } finally {
    database.close();
  }
}

function keepNamed(folder: string, names: ReadonlySet<string>): void {
  for (const name of namesIn(folder)) {
    if (!names.has(name)) rmSync(join(folder, name), { recursive: true });
  }
}

function namesIn(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return [];
    throw error;
  }
}

/** As the runtime derives it from the key of a class and the name of an object. */
function objectId(uniqueKey: string, name: string): string {
  const key = createHash("sha256").update(uniqueKey).digest();
  const sign = (data: string | Uint8Array) =>
    createHmac("sha256", key).update(data).digest().subarray(0, 16);
  const id = sign(name);
  return Buffer.concat([id, sign(id)]).toString("hex");
}
