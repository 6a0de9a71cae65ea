/**
 * D1 on the real platform: the unmodified wrangler and the official SDK, what a Worker sees, and what a hostile statement does
 * to everybody else. One platform for the file.
 */
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { startPlatform, type Platform } from "./platform.ts";
import { all, sdkFor } from "./sdk-client.ts";
import { createProject, wrangler } from "./wrangler.ts";

let platform: Platform;

beforeAll(async () => {
  platform = await startPlatform();
}, 120_000);

afterAll(async () => {
  await platform.stop();
});

const SOURCE = `export default {
  async fetch(request, env) {
    try {
      const { sql, params = [] } = await request.json();
      const { results } = await env.DB.prepare(sql).bind(...params).all();
      return Response.json({ results });
    } catch (error) {
      return Response.json({ error: error.message });
    }
  },
};`;

interface Project {
  readonly directory: string;
  readonly run: (...args: string[]) => Promise<string>;
  /** What the Worker's database answers. */
  readonly ask: (
    sql: string,
    ...params: unknown[]
  ) => Promise<{ results?: unknown; error?: string }>;
}

/** With a database of its own, which wrangler provisions. */
async function deployed(name: string): Promise<Project> {
  const directory = await createProject({
    "wrangler.toml": `name = "${name}"\nmain = "index.js"\ncompatibility_date = "2026-11-01"\n[[d1_databases]]\nbinding = "DB"\n`,
    "index.js": SOURCE,
  });
  const run = async (...args: string[]) => {
    const { exitCode, output } = await wrangler(directory, platform.wranglerEnv, ...args);
    expect(exitCode, output).toBe(0);
    return output;
  };
  await run("deploy");
  return {
    directory,
    run,
    ask: async (sql, ...params) => {
      const init = { method: "POST", body: JSON.stringify({ sql, params }) };
      const response = await platform.fetchHost(`${name}.workers.localhost`, "/", init);
      return (await response.json()) as { results?: unknown; error?: string };
    },
  };
}

describe("wrangler", { timeout: 240_000 }, () => {
  test("makes, fills, changes, exports, restores and deletes a database", async () => {
    const { directory, run, ask } = await deployed("books");
    expect(await run("d1", "list")).toContain("books-db");
    const remote = ["books-db", "--remote", "-y"];
    expect(await run("d1", "execute", ...remote, "--command", "SELECT 1 + 1 AS two")).toContain(
      "2",
    );

    await run("d1", "migrations", "create", "DB", "first");
    await writeFile(
      join(directory, "migrations/0001_first.sql"),
      "CREATE TABLE books (id INTEGER PRIMARY KEY, title TEXT);\nINSERT INTO books (title) VALUES ('Walden');\n",
    );
    expect(await run("d1", "migrations", "list", "DB", "--remote")).toContain("0001_first.sql");
    await run("d1", "migrations", "apply", "DB", "--remote");
    expect(await run("d1", "migrations", "list", "DB", "--remote")).toContain("No migrations");
    expect(await ask("SELECT * FROM books")).toEqual({ results: [{ id: 1, title: "Walden" }] });

    const file = join(directory, "more.sql");
    await writeFile(
      file,
      "INSERT INTO books (title) VALUES ('Emma');\nINSERT INTO books (title) VALUES ('It''s; so');\n",
    );
    expect(await run("d1", "execute", ...remote, "--file", file)).toContain("2 queries");
    expect(await ask("SELECT count(*) AS n FROM books")).toEqual({ results: [{ n: 3 }] });

    const output = join(directory, "dump.sql");
    await run("d1", "export", "books-db", "--remote", "--output", output);
    expect(await readFile(output, "utf8")).toContain(
      `INSERT INTO "books" ("id","title") VALUES(3,'It''s; so');`,
    );

    const info = JSON.parse(await run("d1", "time-travel", "info", "books-db", "--json")) as {
      bookmark: string;
    };
    expect(await ask("DELETE FROM books")).toEqual({ results: [] });
    await run("d1", "time-travel", "restore", "books-db", "--bookmark", info.bookmark);
    expect(await ask("SELECT count(*) AS n FROM books")).toEqual({ results: [{ n: 3 }] });

    expect(await run("d1", "info", "books-db")).toContain("database_size");
    await run("d1", "delete", "books-db", "-y");
    expect((await ask("SELECT 1")).error).toContain("D1_ERROR: ");
    await run("d1", "create", "second");
    expect(await run("d1", "list")).not.toContain("books-db");
  });
});

test("the SDK makes, queries and deletes a database", { timeout: 60_000 }, async () => {
  const { client, account } = sdkFor(platform);
  const database = await client.d1.database.create({ ...account, name: "by-sdk" });
  const id = database.uuid ?? "";
  const bound = client.d1.database.query(id, { ...account, sql: "SELECT ? AS v", params: ["x"] });
  expect((await all(bound)).map(({ results }) => results)).toEqual([[{ v: "x" }]]);
  const raw = client.d1.database.raw(id, { ...account, sql: "SELECT 1 AS v" });
  expect((await all(raw)).map(({ results }) => results)).toEqual([{ columns: ["v"], rows: [[1]] }]);
  expect((await all(client.d1.database.list(account))).map(({ name }) => name)).toContain("by-sdk");
  await client.d1.database.delete(id, account);
  await expect(client.d1.database.get(id, account)).rejects.toThrow("There is no D1 database");
});

test(
  "a database that was idle can go back to a time shortly after its last write",
  { timeout: 60_000 },
  async () => {
    const result = async (method: string, path: string, body?: object) => {
      const response = await platform.api(method, `/d1/database${path}`, body);
      const answer = (await response.json()) as {
        result: { uuid?: string; bookmark?: string };
        errors: unknown;
      };
      expect(answer.errors).toEqual([]);
      return answer.result;
    };
    const { uuid = "" } = await result("POST", "", { name: "idle" });
    await result("POST", `/${uuid}/query`, { sql: "CREATE TABLE t (a); INSERT INTO t VALUES (1)" });
    await platform.interrupt();
    await platform.restart();
    await result("POST", `/${uuid}/query`, { sql: "SELECT 1" });
    const time = new Date().toISOString();
    const { bookmark } = await result("GET", `/${uuid}/time_travel/bookmark`);
    await result("POST", `/${uuid}/query`, { sql: "INSERT INTO t VALUES (2)" });
    const found = await result("GET", `/${uuid}/time_travel/bookmark?timestamp=${time}`);
    expect(found).toEqual({ bookmark });
  },
);

describe("a statement without end", { timeout: 360_000 }, () => {
  const ENDLESS = `WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n`;

  test("is ended; others lose a second of their time, and nothing that they stored", async () => {
    const hostile = await deployed("hostile");
    const victim = await deployed("victim");
    await victim.ask("CREATE TABLE t (a INTEGER PRIMARY KEY)");
    await hostile.ask("CREATE TABLE t (a)");

    let stored = 0;
    let refused = 0;
    let longestMs = 0;
    let isOver = false;
    const others = (async () => {
      while (!isOver) {
        const begun = performance.now();
        const { error } = await victim.ask("INSERT INTO t DEFAULT VALUES");
        longestMs = Math.max(longestMs, performance.now() - begun);
        if (error === undefined) stored++;
        else refused++;
      }
    })();
    const first = await hostile.ask(ENDLESS);
    expect(first.error).toContain("D1_ERROR: ");
    const storedThen = stored;
    await expect.poll(() => stored, { timeout: 30_000 }).toBeGreaterThan(storedThen);
    // The database is in the slow lane now: nobody waits for it any more.
    const refusedBefore = refused;
    const second = hostile.ask(ENDLESS);
    const storedBefore = stored;
    await expect.poll(() => stored, { timeout: 30_000 }).toBeGreaterThan(storedBefore + 50);
    isOver = true;
    await others;
    expect(refused).toBe(refusedBefore);
    const { results } = await victim.ask("SELECT count(*) AS n FROM t");
    const kept = (results as { n: number }[])[0]?.n ?? 0;
    console.log(
      `longest wait ${Math.round(longestMs)} ms; ${stored} stored, ${refused} refused, ${kept} there`,
    );
    expect(kept).toBeGreaterThanOrEqual(stored);
    expect((await second).results).toBeUndefined();
    // It is still there, and works, in the slow lane: after 30 s of CPU time, which take longer on a busy machine.
    await expect
      .poll(async () => (await hostile.ask("SELECT count(*) AS n FROM t")).results, {
        timeout: 300_000,
      })
      .toEqual([{ n: 0 }]);
  });
});
