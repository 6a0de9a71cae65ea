import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { afterEach, beforeEach, expect, test } from "vitest";
import { ObjectFiles } from "./files.ts";

const KEY = "a".repeat(32);
const ID = "b".repeat(64);
let root: string;
let files: ObjectFiles;

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), "skep-objects-"));
  files = new ObjectFiles(root);
});
afterEach(() => rmSync(root, { recursive: true }));

function makeClass(scriptId: string, key: string, ids: readonly string[], alarms: number[] = []) {
  const path = join(files.home(scriptId), key);
  mkdirSync(path);
  for (const id of ids) writeFileSync(join(path, `${id}.sqlite`), id);
  const database = new DatabaseSync(join(path, "metadata.sqlite"));
  database.exec("PRAGMA journal_mode = WAL");
  database.exec(
    "CREATE TABLE _cf_ALARM (actor_id TEXT PRIMARY KEY, scheduled_time INTEGER, actor_name TEXT) WITHOUT ROWID",
  );
  for (const [index, ms] of alarms.entries()) {
    database
      .prepare("INSERT INTO _cf_ALARM VALUES (?, ?, NULL)")
      .run(String(index), BigInt(ms) * 1_000_000n);
  }
  database.close();
}

test("the next alarm of a script is the earliest of all its classes", () => {
  expect(files.nextAlarm("s")).toBeUndefined();
  makeClass("s", KEY, [ID], [1_800_000_000_123, 1_900_000_000_000]);
  makeClass("s", "c".repeat(32), [], [1_700_000_000_456]);
  makeClass("s", "d".repeat(32), [], []);
  expect(files.nextAlarm("s")).toBe(1_700_000_000_456);
  expect(files.scripts()).toEqual(["s"]);
});

test("what Workflows may have left in the midst of a step is due at once, and known by name", () => {
  const inMs = (ms: number) => Date.now() + ms;
  makeClass("s", "miniflare-workflows-orders", [], [inMs(9 * 60_000), inMs(3_600_000)]);
  makeClass("s", KEY, [], [inMs(5 * 60_000)]);
  const database = new DatabaseSync(join(root, "s/miniflare-workflows-orders/metadata.sqlite"));
  database.exec("UPDATE _cf_ALARM SET actor_name = 'instance-' || actor_id");
  database.close();
  expect(files.leftBehind("s")).toEqual([{ workflow: "orders", ids: ["instance-0"] }]);
  expect(files.nextAlarm("s")).toBeLessThanOrEqual(Date.now());
  expect(files.leftBehind("other")).toEqual([]);
});

test("instances are listed with the newest first, without those that were only asked for", () => {
  const key = "miniflare-workflows-orders";
  const ids = ["c", "a", "b"].map((letter) => letter.repeat(64));
  makeClass("s", key, []);
  for (const id of ids) {
    writeFileSync(join(root, "s", key, `${id}.sqlite`), Buffer.alloc(4096));
    writeFileSync(join(root, "s", key, `${id}.sqlite-wal`), id === ids[1] ? "" : "changes");
  }
  const listed = files.newest("s", key, 0, 10);
  expect(listed.total).toBe(2);
  expect(listed.ids.toSorted()).toEqual([ids[2], ids[0]]);
  expect(files.newest("s", key, 1, 10).ids).toHaveLength(1);
});

test("a deleted class takes nothing else with it, and the last one its directory", () => {
  makeClass("s", KEY, [ID]);
  makeClass("s", "c".repeat(32), [ID]);
  for (let time = 0; time < 2; time++) {
    files.apply({ type: "delete", scriptId: "s", key: KEY });
    expect(readdirSync(join(root, "s"))).toEqual(["c".repeat(32)]);
  }
  files.apply({ type: "delete", scriptId: "s", key: "c".repeat(32) });
  expect(readdirSync(root)).toEqual([]);
});

test("a transferred class is with its new owner, however often that is done", () => {
  makeClass("from", KEY, [ID]);
  // As a process leaves it that was started too early.
  makeClass("to", KEY, []);
  const change = { type: "transfer", key: KEY, fromScriptId: "from", toScriptId: "to" } as const;
  for (let time = 0; time < 2; time++) {
    files.apply(change);
    expect(files.list("to", KEY, "", 10)).toEqual({ ids: [ID], isTruncated: false });
    expect(existsSync(join(root, "from"))).toBe(false);
  }
});

test("objects of the new owner are never overwritten", () => {
  makeClass("from", KEY, [ID]);
  makeClass("to", KEY, ["c".repeat(64)]);
  expect(() =>
    files.apply({ type: "transfer", key: KEY, fromScriptId: "from", toScriptId: "to" }),
  ).toThrow("are in both from and to");
  expect(files.list("to", KEY, "", 10).ids).toEqual(["c".repeat(64)]);
});

test("no name leads out of the directory", () => {
  for (const name of ["..", "../x", "", "a/b"]) {
    expect(() => files.home(name)).toThrow(TypeError);
    expect(() => files.apply({ type: "delete", scriptId: "s", key: name })).toThrow(TypeError);
  }
});

test("a removed object goes with its alarm, and no other does", async () => {
  makeClass("s", KEY, ["0".repeat(64), ID], [1_800_000_000_000]);
  const path = join(files.home("s"), KEY);
  const database = new DatabaseSync(join(path, "metadata.sqlite"));
  database.prepare("INSERT INTO _cf_ALARM VALUES (?, ?, NULL)").run(ID, 1_700_000_000_000_000_000n);
  database.close();
  writeFileSync(join(path, `${ID}.sqlite-wal`), Buffer.alloc(100_000));
  const before = await files.bytes("s");
  expect(before).toBeGreaterThan(100_000);
  for (let time = 0; time < 2; time++) files.remove("s", KEY, ID);
  expect(files.list("s", KEY, "", 10).ids).toEqual(["0".repeat(64)]);
  expect(files.nextAlarm("s")).toBe(1_800_000_000_000);
  expect(await files.bytes("s")).toBeLessThan(before - 100_000);
  expect(() => files.remove("s", KEY, "../x")).toThrow("not the id of an object");
  expect(await files.bytes("unknown")).toBe(0);
});
