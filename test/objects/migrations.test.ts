/**
 * Migrations of classes of Durable Objects, deployed with the real wrangler: what is stored follows its class, and goes with it.
 */
import { readdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { startPlatform, type Platform } from "../platform.ts";
import { createProject, wrangler, type WranglerRun } from "../wrangler.ts";

const NAMESPACES = "/workers/durable_objects/namespaces?per_page=1000";

let platform: Platform;

beforeAll(async () => {
  platform = await startPlatform({ args: ["--edges", "1"] });
  await platform.api("PUT", "/workers/dispatch/namespaces/production", { isolation: "trusted" });
});

afterAll(async () => {
  await platform.stop();
});

/** `GET /{binding}/{object}/{what}`: what the object has kept by then. */
const SOURCE = (classes: readonly string[]) => `
  import { DurableObject } from "cloudflare:workers";
  class Keeper extends DurableObject {
    async keep(what) {
      const { kv } = this.ctx.storage;
      kv.put("kept", [...(kv.get("kept") ?? []), what]);
      return kv.get("kept");
    }
  }
  ${classes.length === 0 ? "" : `export { ${classes.map((name) => `Keeper as ${name}`).join(", ")} };`}
  export default {
    async fetch(request, env) {
      const [, binding, name, what] = new URL(request.url).pathname.split("/");
      return Response.json(await env[binding].getByName(name).keep(what));
    },
  };`;

interface Bound {
  readonly name: string;
  readonly class_name: string;
  readonly script_name?: string;
}

const bound = (name: string, class_name: string, script_name?: string): Bound =>
  script_name === undefined ? { name, class_name } : { name, class_name, script_name };

/** `migrations`: all of them, as they stand in a configuration. */
async function deploy(
  name: string,
  classes: readonly string[],
  bindings: readonly Bound[],
  migrations: readonly object[] = [],
  args: readonly string[] = ["--dispatch-namespace", "production"],
): Promise<WranglerRun> {
  const config = { name, main: "index.js", compatibility_date: "2026-11-01", migrations };
  const directory = await createProject({
    "index.js": SOURCE(classes),
    "wrangler.json": JSON.stringify({ ...config, durable_objects: { bindings } }),
  });
  const run = await wrangler(directory, platform.wranglerEnv, "deploy", ...args);
  await rm(directory, { recursive: true });
  return run;
}

async function deployed(...given: Parameters<typeof deploy>): Promise<void> {
  const { exitCode, output } = await deploy(...given);
  expect(exitCode, output).toBe(0);
}

async function ask(script: string, path: string): Promise<unknown> {
  const response = await platform.fetch(script, path);
  const text = await response.text();
  return response.ok ? (JSON.parse(text) as unknown) : `${response.status} ${text}`;
}

interface Namespace {
  readonly id: string;
  readonly script: string;
  readonly class: string;
}

async function namespacesOf(script: string): Promise<Record<string, string>> {
  const response = await platform.api("GET", NAMESPACES);
  const { result } = (await response.json()) as { result: Namespace[] };
  const own = result.filter((found) => found.script === script);
  return Object.fromEntries(own.map((found) => [found.class, found.id]));
}

/** Of all scripts: `<script id>/<key>`. */
async function directories(): Promise<string[]> {
  const root = join(platform.data, "objects");
  const found: string[] = [];
  for (const script of await readdir(root)) {
    for (const key of await readdir(join(root, script))) found.push(key);
  }
  return found;
}

const V1 = { tag: "v1", new_sqlite_classes: ["Room", "Hall"] };
const RENAMED = { tag: "v2", renamed_classes: [{ from: "Room", to: "Chamber" }] };
const DELETED = { tag: "v3", deleted_classes: ["Hall"] };

describe("a user Worker", () => {
  test("keeps what its objects have when it is deployed again, and when a class is renamed", async () => {
    const bindings = [bound("ROOM", "Room"), bound("HALL", "Hall")];
    await deployed("house", ["Room", "Hall"], bindings, [V1]);
    expect(await ask("house", "/ROOM/a/1")).toEqual(["1"]);
    expect(await ask("house", "/HALL/a/2")).toEqual(["2"]);
    await deployed("house", ["Room", "Hall"], bindings, [V1]);
    expect(await ask("house", "/ROOM/a/3")).toEqual(["1", "3"]);
    const { Room } = await namespacesOf("house");
    await deployed(
      "house",
      ["Chamber", "Hall"],
      [bound("ROOM", "Chamber"), bindings[1] as Bound],
      [V1, RENAMED],
    );
    expect(await ask("house", "/ROOM/a/4")).toEqual(["1", "3", "4"]);
    expect((await namespacesOf("house"))["Chamber"]).toBe(Room);
  });

  test("frees the disk of a class that it deletes, and of itself", async () => {
    const { Hall, Chamber } = await namespacesOf("house");
    expect(await directories()).toEqual(expect.arrayContaining([Hall, Chamber]));
    const still = await deploy(
      "house",
      ["Chamber", "Hall"],
      [bound("HALL", "Hall")],
      [V1, RENAMED, DELETED],
    );
    expect(still.output).toContain("without also removing the binding");
    await deployed("house", ["Chamber"], [bound("ROOM", "Chamber")], [V1, RENAMED, DELETED]);
    expect(await directories()).not.toContain(Hall);
    expect(await ask("house", "/ROOM/a/5")).toEqual(["1", "3", "4", "5"]);
    await platform.api(
      "DELETE",
      "/workers/dispatch/namespaces/production/scripts/house?force=true",
    );
    expect(await directories()).not.toContain(Chamber);
  });

  test("follows a class to the script that takes it, without a deploy", async () => {
    await deployed(
      "giver",
      ["Given"],
      [bound("GIVEN", "Given")],
      [{ tag: "v1", new_sqlite_classes: ["Given"] }],
    );
    await deployed("friend", [], [bound("GIVEN", "Given", "giver")]);
    expect(await ask("giver", "/GIVEN/a/1")).toEqual(["1"]);
    expect(await ask("friend", "/GIVEN/a/2")).toEqual(["1", "2"]);
    await deployed(
      "taker",
      ["Taken"],
      [bound("TAKEN", "Taken")],
      [
        {
          tag: "v1",
          transferred_classes: [{ from: "Given", from_script: "giver", to: "Taken" }],
        },
      ],
    );
    expect(await ask("taker", "/TAKEN/a/3")).toEqual(["1", "2", "3"]);
    expect(await ask("friend", "/GIVEN/a/4")).toEqual(["1", "2", "3", "4"]);
    expect(await ask("giver", "/GIVEN/a/5")).toEqual(["1", "2", "3", "4", "5"]);
  });

  test("is refused with wrangler's words what a class needs", async () => {
    const missing = await deploy(
      "refused",
      ["Other"],
      [],
      [{ tag: "v1", new_sqlite_classes: ["Absent"] }],
    );
    expect(missing.output).toContain("is not exported by script. [code: 10070]");
    const unknown = await deploy("refused", ["Room"], [bound("ROOM", "Room")]);
    expect(unknown.output).toMatch(
      /Did you forget to apply a --new-class migration.*\[code: 10061\]/,
    );
    expect(await namespacesOf("refused")).toEqual({});
  });
});

describe("an account Worker", () => {
  const asked = async (path: string) =>
    (await platform.fetchHost("account-house.workers.localhost", path)).json();

  test("is deployed, versioned and deleted as others are", { timeout: 120_000 }, async () => {
    await deployed("account-house", ["Room", "Hall"], [bound("ROOM", "Room")], [V1], []);
    expect(await asked("/ROOM/a/1")).toEqual(["1"]);
    // Without a migration wrangler uploads a version and deploys it.
    await deployed("account-house", ["Room", "Hall"], [bound("ROOM", "Room")], [V1], []);
    await deployed(
      "account-house",
      ["Chamber", "Hall"],
      [bound("ROOM", "Chamber")],
      [V1, RENAMED],
      [],
    );
    expect(await asked("/ROOM/a/2")).toEqual(["1", "2"]);
    await deployed("account-friend", [], [bound("ROOM", "Chamber", "account-house")], [], []);
    const { Chamber } = await namespacesOf("account-house");
    const directory = await createProject({});
    const removed = await wrangler(directory, platform.wranglerEnv, "delete", "account-house");
    expect(removed.output).toMatch(
      /account-friend.* has a binding to the Durable Object Namespace "account-house_Chamber"/,
    );
    expect(removed.exitCode, removed.output).toBe(0);
    await rm(directory, { recursive: true });
    expect(await directories()).not.toContain(Chamber);
    expect(await namespacesOf("account-house")).toEqual({});
  });
});
