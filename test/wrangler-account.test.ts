/**
 * The unmodified wrangler with Workers outside of dispatch namespaces: deploys, versions, rollback, secrets, and what
 * is served after each. One platform for the file; each test has a Worker of its own.
 */
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import wranglerPackage from "wrangler/package.json" with { type: "json" };
import { startPlatform, type Platform } from "./platform.ts";
import { createProject, wrangler, wranglerWithInput, type WranglerRun } from "./wrangler.ts";

let platform: Platform;

beforeAll(async () => {
  platform = await startPlatform();
});

afterAll(async () => {
  await platform.stop();
});

/** Answers with all that a test asks about: which code, which variables and secrets. */
const source = (version: string) =>
  `export default { fetch: (request, env) => Response.json({ version: "${version}", ...env }) };`;

interface Project {
  readonly name: string;
  readonly directory: string;
  /** Runs wrangler there; fails the test unless wrangler succeeds. */
  run(...args: string[]): Promise<string>;
  /** As `run`, with this on standard input. */
  type(input: string, ...args: string[]): Promise<string>;
  /** With what wrangler says and how it ends. */
  tries(...args: string[]): Promise<WranglerRun>;
  write(version: string): Promise<void>;
}

async function createWorker(name: string, toml = ""): Promise<Project> {
  const directory = await createProject({
    "wrangler.toml": `name = "${name}"\nmain = "index.js"\ncompatibility_date = "2026-11-01"\n${toml}`,
    "index.js": source("1"),
  });
  const tries = (...args: string[]) => wrangler(directory, platform.wranglerEnv, ...args);
  const succeeded = ({ exitCode, output }: WranglerRun) => {
    expect(exitCode, output).toBe(0);
    return output;
  };
  return {
    name,
    directory,
    tries,
    run: async (...args) => succeeded(await tries(...args)),
    type: async (input, ...args) =>
      succeeded(await wranglerWithInput(input, directory, platform.wranglerEnv, ...args)),
    write: (version) => writeFile(join(directory, "index.js"), source(version)),
  };
}

async function get(
  script: string,
  headers: Record<string, string> = {},
): Promise<Record<string, unknown>> {
  const response = await platform.fetchHost(`${script}.workers.localhost`, "/", { headers });
  expect(response.status, `GET ${script}`).toBe(200);
  return (await response.json()) as Record<string, unknown>;
}

function versionIdIn(output: string): string {
  const id = /Version ID: ([0-9a-f-]{36})/.exec(output)?.[1];
  if (id === undefined) throw new Error(`no version id in: ${output}`);
  return id;
}

interface Listed {
  readonly id: string;
  readonly annotations?: Record<string, string>;
  readonly versions: readonly { readonly version_id: string; readonly percentage: number }[];
}

async function listed(project: Project, ...args: string[]): Promise<Listed[]> {
  return JSON.parse(await project.run(...args, "--json")) as Listed[];
}

describe(`wrangler ${wranglerPackage.version} outside of namespaces`, { timeout: 180_000 }, () => {
  test("deploys a new Worker and a next version, with variables", async () => {
    const project = await createWorker("plain", `[vars]\nGREETING = "hello"\nDEEP = { a = [1] }`);
    const output = await project.run("deploy", "--message", "first", "--tag", "v1");
    expect(output).toContain("plain.workers.localhost");
    expect(await get("plain")).toEqual({ version: "1", GREETING: "hello", DEEP: { a: [1] } });
    await project.write("2");
    await project.run("deploy", "--var", "EXTRA:more", "--message", "second");
    expect(await get("plain")).toEqual({
      version: "2",
      GREETING: "hello",
      DEEP: { a: [1] },
      EXTRA: "more",
    });
    // Without --keep-vars what is not in the configuration goes; with it, it stays.
    await project.run("deploy", "--keep-vars");
    expect(await get("plain")).toMatchObject({ EXTRA: "more" });
    await project.run("deploy");
    expect(await get("plain")).not.toHaveProperty("EXTRA");
    const messages = (await listed(project, "deployments", "list")).map(
      ({ annotations }) => annotations?.["workers/message"],
    );
    expect(messages.slice(0, 2)).toEqual(["first", "second"]);
  });

  test("deploy --env makes a Worker of its own, --dry-run none", async () => {
    const project = await createWorker("staged", `[env.staging.vars]\nSTAGE = "staging"`);
    await project.run("deploy", "--env", "staging");
    expect(await get("staged-staging")).toEqual({ version: "1", STAGE: "staging" });
    await project.run("deploy", "--dry-run", "--env", "");
    expect((await platform.fetchHost("staged.workers.localhost", "/")).status).toBe(404);
  });

  test("deploy --secrets-file, and secret put, list, bulk, delete", async () => {
    const project = await createWorker("secretive");
    await writeFile(join(project.directory, "secrets.json"), JSON.stringify({ FILED: "f" }));
    await project.run("deploy", "--secrets-file", "secrets.json");
    expect(await get("secretive")).toEqual({ version: "1", FILED: "f" });
    await writeFile(join(project.directory, "bulk.json"), JSON.stringify({ A: "a", B: "b" }));
    await project.run("secret", "bulk", "bulk.json");
    expect(await get("secretive")).toEqual({ version: "1", FILED: "f", A: "a", B: "b" });
    await project.run("secret", "delete", "A");
    expect(await get("secretive")).toEqual({ version: "1", FILED: "f", B: "b" });
    const names = JSON.parse(await project.run("secret", "list")) as { name: string }[];
    expect(names.map(({ name }) => name)).toEqual(["FILED", "B"]);
    // A deploy keeps them.
    await project.write("2");
    await project.run("deploy");
    expect(await get("secretive")).toEqual({ version: "2", FILED: "f", B: "b" });
  });

  test("secret put makes a Worker that is not there yet", async () => {
    const project = await createWorker("drafted");
    await project.type("early", "secret", "put", "EARLY");
    await project.run("deploy");
    expect(await get("drafted")).toEqual({ version: "1", EARLY: "early" });
    await project.type("late", "secret", "put", "LATE");
    expect(await get("drafted")).toEqual({ version: "1", EARLY: "early", LATE: "late" });
    await project.type("waits", "versions", "secret", "put", "LATE");
    expect(await get("drafted")).toEqual({ version: "1", EARLY: "early", LATE: "late" });
  });

  test("versions upload, list, view, deploy; deployments list, status; rollback", async () => {
    const project = await createWorker("versioned");
    const first = versionIdIn(await project.run("deploy"));
    await project.write("2");
    const uploaded = await project.run("versions", "upload", "--tag", "t2", "--message", "m2");
    const second = versionIdIn(uploaded);
    expect(uploaded).toContain(`${second.slice(0, 8)}-versioned.workers.localhost`);
    expect(await get("versioned")).toEqual({ version: "1" });
    expect(await get(`${second.slice(0, 8)}-versioned`)).toEqual({ version: "2" });

    const versions = await listed(project, "versions", "list");
    expect(versions.map(({ id }) => id)).toEqual([first, second]);
    expect(versions[1]?.annotations).toMatchObject({
      "workers/tag": "t2",
      "workers/message": "m2",
    });
    const viewed = await project.run("versions", "view", second);
    expect(viewed).toContain("m2");
    expect(viewed).toContain("2026-11-01");

    await project.run("versions", "deploy", `${first}@90`, `${second}@10`, "-y");
    const [split] = (await listed(project, "deployments", "list")).slice(-1);
    expect(split?.versions.toSorted((a, b) => b.percentage - a.percentage)).toEqual([
      { version_id: first, percentage: 90 },
      { version_id: second, percentage: 10 },
    ]);
    expect(await project.run("deployments", "status")).toContain("(90%)");
    for (const [version, id] of Object.entries({ 1: first, 2: second })) {
      const chosen = { "Cloudflare-Workers-Version-Overrides": `versioned="${id}"` };
      expect(await get("versioned", chosen)).toEqual({ version });
    }

    await project.run("versions", "deploy", `${second}@100`, "-y", "--message", "all");
    expect(await get("versioned")).toEqual({ version: "2" });

    await project.run("rollback", first, "-y", "--message", "bad");
    expect(await get("versioned")).toEqual({ version: "1" });
    // Without an id: the stable one before.
    const again = await project.run("rollback", "-y", "--message", "good after all");
    expect(again).toContain(second);
    expect(await project.run("deployments", "list")).toMatch(/Source: +Rollback/);
    expect(await get("versioned")).toEqual({ version: "2" });
  });

  test("rollback across changed secrets asks, and versions deploy refuses with their names", async () => {
    const project = await createWorker("careful");
    const first = versionIdIn(await project.run("deploy"));
    await writeFile(join(project.directory, "bulk.json"), JSON.stringify({ NEW: "n" }));
    await project.run("secret", "bulk", "bulk.json");
    const refused = await project.tries("versions", "deploy", `${first}@100`, "-y");
    expect(refused.output).toMatch(/The following secrets have changed: NEW.*10220/s);
    expect(refused.exitCode).not.toBe(0);
    expect(await get("careful")).toEqual({ version: "1", NEW: "n" });
    expect(await project.run("rollback", first, "-y")).toContain("* NEW");
    expect(await get("careful")).toEqual({ version: "1" });
  });

  test("versions secret changes nothing that serves; secret refuses while a version waits", async () => {
    const project = await createWorker("waiting");
    await project.run("deploy");
    await writeFile(join(project.directory, "bulk.json"), JSON.stringify({ A: "a", B: "b" }));
    await project.run("versions", "secret", "bulk", "bulk.json", "--message", "two secrets");
    expect(await get("waiting")).toEqual({ version: "1" });
    const refused = await project.tries("secret", "bulk", "bulk.json");
    expect(refused.output).toContain("isn't currently deployed");
    expect(refused.exitCode).not.toBe(0);
    await project.run("versions", "secret", "delete", "B");
    expect(await project.run("versions", "secret", "list", "--latest-version")).toContain("A");
    const [latest] = (await listed(project, "versions", "list")).slice(-1);
    await project.run("versions", "deploy", `${latest?.id}@100`, "-y");
    expect(await get("waiting")).toEqual({ version: "1", A: "a" });
    await project.run("secret", "delete", "A");
    expect(await get("waiting")).toEqual({ version: "1" });
  });

  test("versions upload of a Worker that is not there is refused", async () => {
    const project = await createWorker("nowhere");
    const { exitCode, output } = await project.tries("versions", "upload");
    expect(output).toContain("Please run the `deploy` command first");
    expect(exitCode).not.toBe(0);
  });

  test("triggers deploy works with and without crons, and refuses what is none by name", async () => {
    const plain = await createWorker("triggered");
    await plain.run("deploy");
    expect(await plain.run("triggers", "deploy")).toContain("triggered.workers.localhost");
    const timed = await createWorker("timed", `[triggers]\ncrons = ["0 5 * * mon"]`);
    expect(await timed.run("deploy")).toContain("schedule: 0 5 * * mon");
    const odd = await createWorker("odd", `[triggers]\ncrons = ["61 * * * *"]`);
    const { exitCode, output } = await odd.tries("deploy");
    expect(output).toContain("61 * * * *");
    expect(exitCode).not.toBe(0);
  });

  test("delete, and the name is free again", async () => {
    const project = await createWorker("doomed");
    await project.run("deploy");
    await get("doomed");
    await project.run("delete", "--name", "doomed");
    expect((await platform.fetchHost("doomed.workers.localhost", "/")).status).toBe(404);
    await project.write("2");
    await project.run("deploy");
    expect(await get("doomed")).toEqual({ version: "2" });
    await project.run("delete", "--force");
    expect((await project.tries("versions", "list")).output).toContain("10007");
  });

  test("a namespace may have a user Worker of the same name, with its own versions", async () => {
    const project = await createWorker("twin");
    await project.run("deploy");
    await project.write("2");
    await project.run("deploy", "--dispatch-namespace", "production");
    expect(await get("twin")).toEqual({ version: "1" });
    const response = await platform.fetch("twin", "/");
    expect(await response.json()).toEqual({ version: "2" });
  });
});
