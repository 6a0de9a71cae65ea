/**
 * Backups of a platform that serves and is written to: what was acknowledged before the backup began is there after a
 * restore, and every database is sound. A backup that was changed is refused, and nothing is ever restored by halves.
 */
import { execFile } from "node:child_process";
import { existsSync } from "node:fs";
import {
  appendFile,
  cp,
  mkdtemp,
  readdir,
  readFile,
  rename,
  rm,
  writeFile,
} from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { awaitDeliveries } from "./durability/deliveries.ts";
import { untilAllWrote, writersOf } from "./durability/faults.ts";
import { setStage } from "./durability/stage.ts";
import { Platform, startPlatform, uploadForm } from "./platform.ts";
import { skep } from "./skep.ts";

const CLI = join(import.meta.dirname, "../dist/cli.js");
const run = promisify(execFile);

/** The latest functions of many, which are called. */
const LOOKED_AT = 10;

let platform: Platform;
let directory: string;

beforeAll(async () => {
  platform = await startPlatform();
  directory = await mkdtemp(join(tmpdir(), "skep-backup-"));
});

afterAll(async () => {
  await platform.stop();
  await rm(directory, { recursive: true, force: true });
});

/** A platform on a place of its own, with nothing in it yet. */
async function newPlace(): Promise<Platform> {
  return new Platform(await mkdtemp(join(tmpdir(), "skep-restored-")), []);
}

function source(answer: string): string {
  return `export default { fetch: (request, env) => new Response(${JSON.stringify(answer)} + (env.SECRET ?? "")) };`;
}

async function backUp(name: string, ...more: string[]): Promise<string> {
  const target = join(directory, name);
  const { exitCode, output } = await skep(platform, ["backup", target, ...more]);
  expect(exitCode, output).toBe(0);
  expect(output).toContain("all sound");
  return target;
}

/** Goes on until `stop`; each deploy that was acknowledged is in `acknowledged`. */
function deployOnAndOn(prefix: string) {
  const acknowledged: string[] = [];
  let isOver = false;
  const deployer = async (worker: number) => {
    for (let count = 0; !isOver; count++) {
      const name = `${prefix}-${worker}-${count}`;
      await platform.deploy(name, source(name));
      acknowledged.push(name);
    }
  };
  const all = Promise.all([deployer(0), deployer(1), deployer(2)]);
  return {
    acknowledged,
    stop: async () => {
      isOver = true;
      await all;
    },
  };
}

test("a backup under load has all that was acknowledged before it, and serves after a restore", async () => {
  await platform.deploy("kept", source("kept "));
  const secrets = "/workers/dispatch/namespaces/production/scripts/kept/secrets";
  const secret = { name: "SECRET", text: "of the deep", type: "secret_text" };
  expect((await platform.api("PUT", secrets, secret)).status).toBe(200);
  const load = deployOnAndOn("load");
  for (let round = 0; round < 2; round++) {
    await expect.poll(() => load.acknowledged.length).toBeGreaterThan(10 * (round + 1));
    const before = [...load.acknowledged];
    const backup = await backUp(`under-load-${round}`, "--with-keys");
    const restored = await newPlace();
    const { exitCode, output } = await skep(restored, ["restore", backup]);
    expect(exitCode, output).toBe(0);
    try {
      await restored.restart();
      expect(await (await restored.fetch("kept", "/")).text()).toBe("kept of the deep");
      const listed = await restored.api("GET", "/workers/dispatch/namespaces/production/scripts");
      const { result } = (await listed.json()) as { result: { id: string }[] };
      expect(result.map(({ id }) => id)).toEqual(expect.arrayContaining(before));
      for (const name of before.slice(-LOOKED_AT)) {
        expect(await (await restored.fetch(name, "/")).text(), name).toBe(name);
      }
    } finally {
      await restored.stop();
    }
  }
  await load.stop();
  // And the platform that was backed up goes on.
  for (const name of load.acknowledged.slice(-LOOKED_AT)) {
    expect(await (await platform.fetch(name, "/")).text()).toBe(name);
  }
}, 180_000);

test("what functions keep is in a backup under load, whole and as it was acknowledged", async () => {
  const stage = await setStage(platform);
  const writers = writersOf(platform, stage);
  for (const writer of writers) writer.start();
  try {
    for (let round = 0; round < 5; round++) await untilAllWrote(writers);
    const restored = await newPlace();
    const before = writers.map((writer) => writer.on(restored));
    const backup = await backUp("of-functions", "--with-keys");
    const { exitCode, output } = await skep(restored, ["restore", backup]);
    expect(exitCode, output).toBe(0);
    try {
      await restored.restart();
      for (const writer of before) {
        expect(await writer.check(), `${writer.script} ${writer.kind}`).toEqual([]);
      }
      const sent = before.filter(({ kind }) => kind === "queue").flatMap((w) => w.acknowledgedIds);
      expect(sent.length).toBeGreaterThan(5);
      const { lost } = await awaitDeliveries(restored, stage.deliveries, sent, [], 60_000);
      expect(lost).toEqual([]);
    } finally {
      await restored.stop();
    }
  } finally {
    await Promise.all(writers.map((writer) => writer.stop()));
  }
}, 180_000);

test("a namespace alone becomes a platform of its own, without a trace of others", async () => {
  const result = async (method: string, path: string, body?: object) => {
    const response = await platform.api(method, path, body);
    const answer = (await response.json()) as { result: { id: string }; errors: unknown };
    expect(answer.errors).toEqual([]);
    return answer.result;
  };
  const script = (canary: string) => `
    export class Kept extends (await import("cloudflare:workers")).DurableObject {
      async put(value) { await this.ctx.storage.put("value", value); }
      get() { return this.ctx.storage.get("value"); }
    }
    export default {
      async fetch(request, { KV, SECRET, OBJECTS }) {
        const object = OBJECTS.getByName("one");
        if (request.method === "POST") {
          await KV.put("key", "${canary}" + "x".repeat(100_000));
          await object.put("${canary}");
        }
        const value = await KV.get("key");
        return new Response([value?.slice(0, ${canary.length}), await object.get(), SECRET].join());
      },
    };`;
  const shared = await result("POST", "/storage/kv/namespaces", { title: "everybodys" });
  for (const tenant of ["mine", "theirs"]) {
    const canary = `canary-of-${tenant}`;
    await result("POST", "/workers/dispatch/namespaces", { name: tenant });
    const query = `?dispatch_namespace=${tenant}`;
    const kv = await result("POST", `/storage/kv/namespaces${query}`, { title: "kept" });
    const bindings = [
      { type: "kv_namespace", name: "KV", namespace_id: kv.id },
      { type: "kv_namespace", name: "SHARED", namespace_id: shared.id },
      { type: "secret_text", name: "SECRET", text: `secret-${canary}` },
      { type: "durable_object_namespace", name: "OBJECTS", class_name: "Kept" },
    ];
    const migrations = { new_tag: "v1", new_sqlite_classes: ["Kept"] };
    const form = uploadForm(script(canary), { bindings, migrations });
    await platform.deploy("keeper", form, tenant);
    const written = await platform.fetchHost(`keeper.${tenant}.localhost`, "/", { method: "POST" });
    expect(await written.text()).toBe(`${canary},${canary},secret-${canary}`);
  }
  const backup = join(directory, "of-mine");
  const made = await skep(platform, ["backup", backup, "--namespace", "mine", "--with-keys"]);
  expect(made.exitCode, made.output).toBe(0);
  expect(made.output).toContain("left out   kv everybodys, which keeper is bound to");
  expect(made.output.match(/left out/g)).toHaveLength(1);
  for (const entry of await readdir(backup, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue;
    const content = await readFile(join(entry.parentPath, entry.name));
    expect(content.includes("canary-of-theirs"), entry.name).toBe(false);
  }
  const restored = await newPlace();
  const { exitCode, output } = await skep(restored, ["restore", backup]);
  expect(exitCode, output).toBe(0);
  await restored.restart();
  const mine = await restored.fetchHost("keeper.mine.localhost", "/");
  expect(await mine.text()).toBe("canary-of-mine,canary-of-mine,secret-canary-of-mine");
  expect((await restored.fetchHost("keeper.theirs.localhost", "/")).status).toBe(404);
  const again = await restored.fetchHost("keeper.mine.localhost", "/", { method: "POST" });
  expect(again.status).toBe(200);
  await restored.stop();

  const none = await skep(platform, ["backup", join(directory, "no"), "--namespace", "nobodys"]);
  expect(none.exitCode).toBe(1);
  expect(none.output).toContain("there is no dispatch namespace nobodys");
}, 120_000);

test("without the keys it has none, and says what is needed", async () => {
  const backup = await backUp("without-keys");
  const names = await readdir(join(backup, "data"));
  expect(names).toContain("account");
  for (const name of ["secret.key", "token", "ca", "run", "lock"])
    expect(names).not.toContain(name);
  const restored = await newPlace();
  const { output } = await skep(restored, ["restore", backup]);
  expect(output).toMatch(/Put secret\.key of [0-9a-f]{8} into/);
  await expect(restored.restart()).rejects.toThrow("secret.key is missing");
  await cp(join(platform.data, "secret.key"), join(restored.data, "secret.key"));
  await restored.restart();
  expect(await (await restored.fetch("kept", "/")).text()).toBe("kept of the deep");
  await restored.stop();
});

describe("a backup that is not what was written is refused", () => {
  const damages: Record<string, (backup: string) => Promise<void>> = {
    "is missing": async (backup) => rm(join(backup, "data/account")),
    "was changed": async (backup) => appendFile(join(backup, "data/account"), " "),
    "does not belong to it": async (backup) => writeFile(join(backup, "data/state/new"), ""),
    "SHA256SUMS was changed": async (backup) => appendFile(join(backup, "SHA256SUMS"), "x"),
    "backup.json is not whole": async (backup) => {
      const text = await readFile(join(backup, "backup.json"), "utf8");
      await writeFile(join(backup, "backup.json"), text.slice(0, 40));
    },
    "it has no backup.json": async (backup) => rm(join(backup, "backup.json")),
    "has format 99": async (backup) => {
      const text = await readFile(join(backup, "backup.json"), "utf8");
      await writeFile(join(backup, "backup.json"), text.replace('"format": 1', '"format": 99'));
    },
  };
  let whole: string;
  beforeAll(async () => {
    whole = await backUp("whole");
  });
  test("one that is whole is not", async () => {
    const { exitCode, output } = await skep(platform, ["restore", whole, "--check"]);
    expect(exitCode, output).toBe(0);
  });
  test.each(Object.entries(damages))("%s", async (says, damage) => {
    const copy = await mkdtemp(join(directory, "damaged-"));
    // Not its hard links: they are the platform's own files.
    await cp(whole, copy, { recursive: true });
    await damage(copy);
    const place = await newPlace();
    for (const more of [[], ["--check"]]) {
      const { exitCode, output } = await skep(place, ["restore", copy, ...more]);
      expect(exitCode).toBe(1);
      expect(output).toContain(says);
    }
    expect(existsSync(place.data)).toBe(false);
    expect(await readdir(join(place.data, ".."))).toEqual([]);
  });
});

test("a directory in use is never replaced; another one is with --force, and kept beside", async () => {
  const backup = await backUp("again", "--with-keys");
  const inUse = await skep(platform, ["restore", backup, "--force"]);
  expect(inUse).toMatchObject({ exitCode: 1, output: expect.stringContaining("is in use by") });

  const other = await newPlace();
  await other.restart();
  await other.deploy("mine", source("mine"));
  await other.interrupt();
  const refused = await skep(other, ["restore", backup]);
  expect(refused).toMatchObject({ exitCode: 1, output: expect.stringContaining("--force") });
  const forced = await skep(other, ["restore", backup, "--force"]);
  expect(forced.exitCode, forced.output).toBe(0);
  await other.restart();
  expect(await (await other.fetch("kept", "/")).text()).toBe("kept of the deep");
  expect((await other.fetch("mine", "/")).status).toBe(404);
  await other.interrupt();

  const [aside] = (await readdir(join(other.data, ".."))).filter((name) => name !== "data");
  expect(forced.output).toContain(`kept as ${join(other.data, "..", String(aside))}`);
  await rm(other.data, { recursive: true });
  await rename(join(other.data, "..", String(aside)), other.data);
  await other.restart();
  expect(await (await other.fetch("mine", "/")).text()).toBe("mine");
  await other.stop();
});

test("a platform that is stopped can be backed up, too", async () => {
  const other = await newPlace();
  await other.restart();
  await other.interrupt();
  const { exitCode, output } = await skep(other, ["backup", join(directory, "stopped")]);
  expect(exitCode, output).toBe(0);
  expect(output).toContain("no platform was running");
  await other.stop();
});

test("a place that is taken, or inside of what is backed up, is refused", async () => {
  const taken = await mkdtemp(join(directory, "taken-"));
  await writeFile(join(taken, "file"), "");
  const places = {
    "exists already": taken,
    "inside of the data directory": join(platform.data, "backup"),
  };
  for (const [says, place] of Object.entries(places)) {
    const { exitCode, output } = await skep(platform, ["backup", place]);
    expect(exitCode).toBe(1);
    expect(output).toContain(says);
  }
});

test("with a Node that has no SQLite a backup is made and restored, and a start says what it needs", async () => {
  const old = { env: { ...process.env, NODE_OPTIONS: "--no-experimental-sqlite" } };
  const target = join(directory, "old");
  const made = await run(process.execPath, [CLI, "backup", target, "--data", platform.data], old);
  expect(made.stdout).toContain("not checked, which needs Node 22.13");
  const checked = await run(process.execPath, [CLI, "restore", target, "--check"], old);
  expect(checked.stdout).toContain("is whole");
  const start = run(process.execPath, [CLI, "start", "--data", join(directory, "new")], old);
  await expect(start).rejects.toMatchObject({
    stderr: expect.stringMatching(/^this needs Node 22\.13 or newer, .*npx skep.*\n$/),
  });
});
