/** D1 of the API, over the real databases: as Cloudflare answers, by which tokens, and what comes and goes as files. */
import { beforeAll, describe, expect, it } from "vitest";
import {
  ACCOUNT,
  bootstrap,
  call,
  hub,
  limitedToken,
  NAMESPACES,
  request,
} from "../../hub/test/api.ts";
import { STORE_HEADER, type StoreCall } from "../../protocol/store.ts";

const D1 = `/accounts/${ACCOUNT}/d1/database`;

beforeAll(async () => {
  await bootstrap();
  await call("POST", NAMESPACES, { name: "d1-staging" });
});

let made = 0;

async function make(query = ""): Promise<{ path: string; name: string; id: string }> {
  const name = `db-${++made}`;
  const { result, errors } = await call("POST", `${D1}${query}`, { name });
  expect(errors).toEqual([]);
  const id = result.uuid as string;
  return { path: `${D1}/${id}`, name, id };
}

async function tokenOf(namespace: string, ...permissions: string[]) {
  const token = crypto.randomUUID();
  await limitedToken(token, { namespaces: [namespace], permissions });
  return { authorization: `Bearer ${token}` };
}

async function rowsOf(path: string, sql: string): Promise<unknown> {
  const { result, errors } = await call("POST", `${path}/query`, { sql });
  expect(errors).toEqual([]);
  return result.at(-1).results;
}

async function md5(text: string): Promise<string> {
  const digest = await crypto.subtle.digest("MD5", new TextEncoder().encode(text));
  return new Uint8Array(digest).toHex();
}

/** Where the URL leads, without an API token. */
function send(url: string, init: RequestInit = {}): Promise<Response> {
  return request(init.method ?? "GET", `/../..${new URL(url).pathname}`, {
    ...init,
    headers: { authorization: "" },
  });
}

async function importSql(path: string, sql: string) {
  const etag = await md5(sql);
  const { result } = await call("POST", `${path}/import`, { action: "init", etag });
  const uploaded = await send(result.upload_url, { method: "PUT", body: sql });
  expect([uploaded.status, uploaded.headers.get("etag")]).toEqual([200, `"${etag}"`]);
  const filename = result.filename as string;
  return (await call("POST", `${path}/import`, { action: "ingest", etag, filename })).result;
}

async function exportSql(path: string, options = {}): Promise<string> {
  const { result } = await call("POST", `${path}/export`, {
    output_format: "polling",
    dump_options: options,
  });
  expect(result).toMatchObject({ success: true, status: "complete", type: "export" });
  const response = await send(result.result.signed_url);
  expect(response.status).toBe(200);
  return response.text();
}

describe("D1 databases", () => {
  it("are made, listed, found by id and by name, and deleted", async () => {
    const { path, name, id } = await make();
    expect((await call("GET", `${D1}/${name}?fields=uuid,name`)).result).toEqual({
      uuid: id,
      name,
    });
    expect((await call("GET", path)).result).toMatchObject({
      version: "production",
      num_tables: 0,
      read_replication: { mode: "disabled" },
    });
    expect((await call("GET", `${D1}?name=${name}`)).result).toMatchObject([{ uuid: id }]);
    expect((await call("GET", `${D1}?page=2&per_page=1000`)).result).toEqual([]);
    expect((await call("POST", D1, { name })).errors[0]?.code).toBe(7502);
    expect((await call("POST", D1, { name: "a/b" })).errors[0]?.message).toContain("name");
    expect((await call("DELETE", path)).success).toBe(true);
    const gone = await call("GET", path);
    expect([gone.status, gone.errors[0]?.code]).toEqual([404, 7404]);
  });

  it("keep nothing of one that was deleted", async () => {
    const { path, name } = await make();
    await rowsOf(path, "CREATE TABLE t (a); INSERT INTO t VALUES (1)");
    await call("DELETE", path);
    const { result } = await call("POST", D1, { name });
    expect(
      await rowsOf(
        `${D1}/${result.uuid}`,
        "SELECT count(*) AS n FROM sqlite_schema WHERE name = 't'",
      ),
    ).toEqual([{ n: 0 }]);
  });

  it("of a namespace are not there for others", async () => {
    const { path, name } = await make("?dispatch_namespace=d1-staging");
    const own = await tokenOf("d1-staging", "read", "data", "deploy");
    const other = await tokenOf("production", "read", "data", "deploy");
    const select = { sql: "SELECT 1 AS one" };
    expect((await call("POST", `${path}/query`, select, own)).success).toBe(true);
    for (const [method, rest, body] of [
      ["GET", "", undefined],
      ["POST", "/query", select],
      ["DELETE", "", undefined],
      ["POST", "/time_travel/restore?bookmark=00000000-00000000-00000000-0", undefined],
    ] as const) {
      expect((await call(method, `${path}${rest}`, body, other)).status).toBe(404);
    }
    expect((await call("GET", `${D1}/${name}`, undefined, other)).status).toBe(404);
    const reader = await tokenOf("d1-staging", "read");
    expect((await call("POST", `${path}/query`, select, reader)).errors[0]?.message).toContain(
      "'data'",
    );
  });
});

describe("queries", () => {
  it("are answered one by one, in one transaction", async () => {
    const { path } = await make();
    const { result } = await call("POST", `${path}/query`, {
      sql: "CREATE TABLE t (a); INSERT INTO t VALUES (1), (2); SELECT a FROM t;",
    });
    expect(result.map(({ results }: { results: unknown }) => results)).toEqual([
      [],
      [],
      [{ a: 1 }, { a: 2 }],
    ]);
    expect(result[1].meta).toMatchObject({ changes: 2, changed_db: true, rows_written: 2 });
    const failed = await call("POST", `${path}/query`, {
      sql: "INSERT INTO t VALUES (3); SELECT * FROM nobody",
    });
    expect([failed.status, failed.errors[0]]).toEqual([
      400,
      { code: 7500, message: "no such table: nobody: SQLITE_ERROR" },
    ]);
    expect(await rowsOf(path, "SELECT count(*) AS n FROM t")).toEqual([{ n: 2 }]);
  });

  it("take parameters, batches and raw rows", async () => {
    const { path } = await make();
    const bound = await call("POST", `${path}/raw`, {
      sql: "SELECT ? AS a, ? AS b",
      params: ["x", true],
    });
    expect(bound.result[0].results).toEqual({ columns: ["a", "b"], rows: [["x", 1]] });
    const batch = await call("POST", `${path}/query`, {
      batch: [
        { sql: "SELECT ? AS a", params: [1] },
        { sql: "SELECT ? AS a", params: [2] },
      ],
    });
    expect(batch.result.map(({ results }: { results: unknown }) => results)).toEqual([
      [{ a: 1 }],
      [{ a: 2 }],
    ]);
    const several = await call("POST", `${path}/query`, {
      sql: "SELECT ?; SELECT ?",
      params: [1, 2],
    });
    expect(several.errors[0]?.message).toContain("one statement only");
  });

  it("may have triggers, comments and semicolons in texts", async () => {
    const { path } = await make();
    await rowsOf(
      path,
      `-- a comment; with a semicolon
       CREATE TABLE t (a TEXT); /* another; */
       CREATE TABLE log (a TEXT);
       CREATE TRIGGER logged AFTER INSERT ON t BEGIN
         INSERT INTO log VALUES (CASE WHEN NEW.a = ';' THEN 'semicolon' ELSE NEW.a END);
         INSERT INTO log VALUES ('end');
       END;
       INSERT INTO t VALUES (';'), ('it''s; so')`,
    );
    expect(await rowsOf(path, "SELECT a FROM log")).toEqual(
      ["semicolon", "end", "it's; so", "end"].map((a) => ({ a })),
    );
  });

  it("cannot reach what is ours, nor other databases or files", async () => {
    const { path } = await make();
    for (const sql of [
      "CREATE TABLE _skep_changes (a)",
      `DROP TABLE IF EXISTS "_SKEP_changes"`,
      "SELECT * FROM '_skep_changes'",
      "SELECT * FROM [_skep_changes]",
      "SELECT * FROM main._skep_changes",
      "CREATE TRIGGER x AFTER INSERT ON t BEGIN DELETE FROM _skep_changes; END",
      "SELECT * FROM _cf_KV",
      "ATTACH 'other.sqlite' AS other",
      "PRAGMA writable_schema = ON",
      "PRAGMA journal_mode = OFF",
      "PRAGMA temp_store_directory = '/tmp'",
      "SELECT load_extension('x')",
      "SELECT readfile('/etc/passwd')",
      "VACUUM INTO '/tmp/stolen'",
    ]) {
      expect((await call("POST", `${path}/query`, { sql })).errors, sql).toMatchObject([
        { code: 7500 },
      ]);
    }
  });

  it("do not do what the API alone may ask, whatever path a function makes up", async () => {
    const { path, id } = await make();
    await rowsOf(path, "CREATE TABLE t (a)");
    const headers = { [STORE_HEADER]: JSON.stringify({ kind: "d1", id } satisfies StoreCall) };
    const ask = async (at: string, body: object) => {
      const init = { method: "POST", headers, body: JSON.stringify(body) };
      const response = await hub.STORE.fetch(`http://store${at}`, init);
      await response.text();
      return response.status;
    };
    expect(await ask("/query", { sql: "SELECT * FROM t" })).toBe(200);
    expect(await ask("/admin/query", { queries: [{ sql: "SELECT * FROM t" }] })).toBe(403);
    expect(await ask("/x/../admin/quota/release", { epoch: 1e9 })).toBe(403);
  });

  it("and what they answer have bounds", async () => {
    const { id } = await make();
    const names = `SELECT 1 AS "${"n".repeat(50_000)}" FROM json_each(?)`;
    const list = JSON.stringify(Array.from({ length: 2_000 }, () => 0));
    expect(await bound(id, { sql: names, params: [list] })).toMatchObject({
      error: expect.stringMatching(/the result takes more than 67108864 bytes/),
    });
    const large = {
      sql: "SELECT hex(zeroblob(1000000)) FROM json_each('[1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17]')",
    };
    const unread = await askFor(id, large);
    expect(await bound(id, { sql: "SELECT 1" })).toEqual({
      success: false,
      error: "D1 DB is overloaded. Too many requests queued.",
    });
    await unread.body?.cancel();
    await expect.poll(() => bound(id, { sql: "SELECT 1" })).toMatchObject([{ success: true }]);
    const long = { sql: "SELECT 1", params: [], more: "x".repeat(33 * 2 ** 20) };
    expect(await bound(id, long)).toMatchObject({
      error: expect.stringMatching(/a call may have 33554432 bytes/),
    });
  });
});

/** As a function's binding asks. */
function askFor(id: string, body: object): Promise<Response> {
  const headers = { [STORE_HEADER]: JSON.stringify({ kind: "d1", id } satisfies StoreCall) };
  const init = { method: "POST", headers, body: JSON.stringify(body) };
  return hub.STORE.fetch("http://store/query", init);
}

async function bound(id: string, body: object): Promise<unknown> {
  return (await askFor(id, body)).json();
}

describe("a namespace's quota", () => {
  it("bounds its databases together; what does not fit was never there", async () => {
    await call("POST", NAMESPACES, { name: "d1-small" });
    await call("PUT", `${NAMESPACES}/d1-small/limits`, { storage_mb: 2 });
    const { path } = await make("?dispatch_namespace=d1-small");
    const other = await make("?dispatch_namespace=d1-small");
    await rowsOf(path, "CREATE TABLE t (a); INSERT INTO t VALUES (zeroblob(1000000))");
    await rowsOf(other.path, "CREATE TABLE t (a)");
    const insert = { sql: "INSERT INTO t VALUES (zeroblob(1500000))" };
    const refused = await call("POST", `${other.path}/query`, insert);
    expect([refused.status, refused.errors[0]?.message]).toEqual([
      400,
      expect.stringContaining("may keep 2097152 bytes (storage_mb=2)"),
    ]);
    expect(await bound(other.id, { sql: `SELECT 1; ${insert.sql}` })).toMatchObject({
      error: expect.stringContaining("(storage_mb=2)"),
    });
    expect(await rowsOf(other.path, "SELECT count(*) AS n FROM t")).toEqual([{ n: 0 }]);
    const values = Array.from(
      { length: 2000 },
      () => `INSERT INTO t VALUES ('${"x".repeat(990)}');`,
    );
    const etag = await md5(values.join("\n"));
    const { result } = await call("POST", `${other.path}/import`, { action: "init", etag });
    const sent = await send(result.upload_url, { method: "PUT", body: values.join("\n") });
    expect([sent.status, await sent.text()]).toEqual([
      400,
      expect.stringContaining("(storage_mb=2)"),
    ]);
    const short = "INSERT INTO t VALUES (zeroblob(1500000));";
    expect(await importSql(other.path, short)).toMatchObject({ status: "error" });
    expect(await rowsOf(other.path, "SELECT count(*) AS n FROM t")).toEqual([{ n: 0 }]);
    // Reading goes on, and so does writing once there is room; what others gave back is looked for once a second.
    const errorsOf = async (database: string) =>
      (await call("POST", `${database}/query`, insert)).errors;
    await rowsOf(path, "DELETE FROM t");
    await expect.poll(() => errorsOf(other.path)).toEqual([]);
    await call("DELETE", other.path);
    await expect.poll(() => errorsOf(path)).toEqual([]);
  });

  it("counts snapshots, which make room for their database and for nobody else", async () => {
    const used = await small("d1-snapshots", 4);
    const { path } = await make("?dispatch_namespace=d1-snapshots");
    const other = await make("?dispatch_namespace=d1-snapshots");
    await rowsOf(path, "CREATE TABLE t (a); INSERT INTO t VALUES (randomblob(1500000))");
    await rowsOf(other.path, "CREATE TABLE t (a)");
    const before = await used();
    const { bookmark } = (await call("GET", `${path}/time_travel/bookmark`)).result;
    expect(await used()).toBeGreaterThan(before + 1_500_000);
    const insert = { sql: "INSERT INTO t VALUES (randomblob(1500000))" };
    const refused = await call("POST", `${other.path}/query`, insert);
    expect(refused.errors[0]?.message).toContain("may keep 4194304 bytes (storage_mb=4)");
    expect((await call("POST", `${path}/query`, insert)).errors).toEqual([]);
    expect(await used()).toBeLessThan(4 * 2 ** 20);
    // What is there now would be lost.
    const restore = `${path}/time_travel/restore?bookmark=${bookmark}`;
    expect((await call("POST", restore)).errors[0]?.message).toContain("(storage_mb=4)");
    // What is deleted has no snapshot where there is no room for one.
    await rowsOf(path, "DELETE FROM t");
    expect(await used()).toBeLessThan(100_000);
    expect((await call("POST", `${other.path}/query`, insert)).errors).toEqual([]);
  });

  it("counts exports, which are refused where there is no room for them", async () => {
    const used = await small("d1-exports", 4);
    const { path } = await make("?dispatch_namespace=d1-exports");
    await rowsOf(path, "CREATE TABLE t (a); INSERT INTO t VALUES (randomblob(500000))");
    const before = await used();
    expect(await exportSql(path)).toContain("INSERT INTO");
    const exported = await used();
    expect(exported).toBeGreaterThan(before + 1_000_000);
    await rowsOf(path, "INSERT INTO t VALUES (randomblob(900000))");
    const init = { output_format: "polling" };
    const refused = await call("POST", `${path}/export`, init);
    expect([refused.status, refused.errors[0]?.message]).toEqual([
      400,
      expect.stringContaining("may keep 4194304 bytes (storage_mb=4)"),
    ]);
    expect(await used()).toBeLessThan(exported + 1_000_000);
  });

  async function small(name: string, storage_mb: number) {
    await call("POST", NAMESPACES, { name });
    await call("PUT", `${NAMESPACES}/${name}/limits`, { storage_mb });
    return async () =>
      (await call("GET", `${NAMESPACES}/${name}/usage`)).result.bytes.used as number;
  }
});

describe("files", () => {
  it("are imported, all of it or nothing", async () => {
    const { path } = await make();
    const done = await importSql(
      path,
      `CREATE TABLE t (a INTEGER, b TEXT);\nINSERT INTO t VALUES (1, 'x;y');\nINSERT INTO t VALUES (2, NULL)`,
    );
    expect(done).toMatchObject({ success: true, status: "complete", result: { num_queries: 3 } });
    expect(await rowsOf(path, "SELECT * FROM t")).toEqual([
      { a: 1, b: "x;y" },
      { a: 2, b: null },
    ]);
    const failed = await importSql(path, "DELETE FROM t;\nINSERT INTO nobody VALUES (1);");
    expect(failed).toMatchObject({
      status: "error",
      errors: ["no such table: nobody: SQLITE_ERROR"],
    });
    expect(await rowsOf(path, "SELECT count(*) AS n FROM t")).toEqual([{ n: 2 }]);
  });

  it("are not taken twice, by a wrong path or with other contents", async () => {
    const { path, id } = await make();
    const etag = await md5("SELECT 1;");
    const { result } = await call("POST", `${path}/import`, { action: "init", etag });
    const wrong = await send(`http://api/d1-files/${id}/${"0".repeat(64)}`, {
      method: "PUT",
      body: "x",
    });
    expect(wrong.status).toBe(404);
    const other = await send(result.upload_url, { method: "PUT", body: "SELECT 2;" });
    expect(other.headers.get("etag")).not.toBe(`"${etag}"`);
    const ingest = { action: "ingest", etag, filename: result.filename };
    expect((await call("POST", `${path}/import`, ingest)).errors[0]?.message).toContain(
      "was uploaded",
    );
    expect((await send(result.upload_url, { method: "PUT", body: "SELECT 1;" })).status).toBe(200);
    expect((await send(result.upload_url, { method: "PUT", body: "SELECT 1;" })).status).toBe(404);
    // What is sent cannot be fetched.
    expect((await send(result.upload_url)).status).toBe(404);
    expect((await call("POST", `${path}/import`, ingest)).result.status).toBe("complete");
  });

  it("of an export make the database again", async () => {
    const { path } = await make();
    await rowsOf(
      path,
      `CREATE TABLE "odd ""name" (id INTEGER PRIMARY KEY AUTOINCREMENT, t TEXT, b BLOB, r REAL);
       INSERT INTO "odd ""name" (t, b, r) VALUES ('it''s
two lines', x'00ff', 0.1), (NULL, x'', 9e999), ('🐝', NULL, -1.5e300);
       INSERT INTO "odd ""name" (id, t) VALUES (9007199254740993, 'large');
       CREATE TABLE child (p INTEGER REFERENCES "odd ""name" (id));
       INSERT INTO child VALUES (1);
       CREATE INDEX by_t ON "odd ""name" (t);
       CREATE VIEW v AS SELECT t FROM "odd ""name"`,
    );
    const sql = await exportSql(path);
    expect(sql).toContain("PRAGMA defer_foreign_keys=TRUE;");
    const copy = await make();
    expect(await importSql(copy.path, sql)).toMatchObject({ status: "complete" });
    expect(await exportSql(copy.path)).toBe(sql);
    expect(
      await rowsOf(copy.path, `SELECT quote(id) AS id FROM "odd ""name" WHERE t = 'large'`),
    ).toEqual([{ id: "9007199254740993" }]);
    expect(await exportSql(path, { no_data: true })).not.toContain("INSERT");
    const only = await exportSql(path, { no_schema: true, tables: ["child"] });
    expect(only).toBe(`PRAGMA defer_foreign_keys=TRUE;\nINSERT INTO "child" ("p") VALUES(1);\n`);
  });
});

describe("time travel", () => {
  it("goes back to a bookmark, exactly, and forth again", async () => {
    const { path } = await make();
    const large = "x".repeat(150_000);
    await rowsOf(
      path,
      "CREATE TABLE t (a INTEGER PRIMARY KEY AUTOINCREMENT, b TEXT, c BLOB, d REAL)",
    );
    await call("POST", `${path}/query`, {
      sql: "INSERT INTO t (b, c, d) VALUES (?, x'0102', 0.1), ('it''s', zeroblob(40000), NULL)",
      params: [large],
    });
    // SQLite's own quoting ends a text there.
    for (const text of ["a\0b", `${large}\0b`]) {
      const sql = "INSERT INTO t (b, c) VALUES (?, hex(?1))";
      await call("POST", `${path}/query`, { sql, params: [text] });
    }
    const texts = "SELECT count(*) AS n FROM t WHERE hex(b) = c";
    expect(await rowsOf(path, texts)).toEqual([{ n: 2 }]);
    const before = await exportSql(path);
    const { bookmark } = (await call("GET", `${path}/time_travel/bookmark`)).result;
    await rowsOf(path, "DROP TABLE t; CREATE TABLE u (a)");
    const after = await exportSql(path);
    const back = await call("POST", `${path}/time_travel/restore?bookmark=${bookmark}`);
    expect(back.errors).toEqual([]);
    expect(back.result.bookmark).toBe(bookmark);
    expect(await exportSql(path)).toBe(before);
    expect(await rowsOf(path, texts)).toEqual([{ n: 2 }]);
    const forth = `${path}/time_travel/restore?bookmark=${back.result.previous_bookmark}`;
    expect((await call("POST", forth)).errors).toEqual([]);
    expect(await exportSql(path)).toBe(after);
  });

  it("has a snapshot from before an import", async () => {
    const { path } = await make();
    await rowsOf(path, "CREATE TABLE t (a); INSERT INTO t VALUES (1)");
    const time = new Date().toISOString();
    await importSql(path, "DELETE FROM t;");
    const { result } = await call("GET", `${path}/time_travel/bookmark?timestamp=${time}`);
    await call("POST", `${path}/time_travel/restore?bookmark=${result.bookmark}`);
    expect(await rowsOf(path, "SELECT a FROM t")).toEqual([{ a: 1 }]);
  });

  it("says what it cannot do", async () => {
    const { path } = await make();
    await rowsOf(path, "CREATE TABLE t (a)");
    const early = await call("GET", `${path}/time_travel/bookmark?timestamp=2020-01-01T00:00:00Z`);
    expect(early.errors[0]?.message).toContain("no snapshot");
    const odd = await call("POST", `${path}/time_travel/restore?bookmark=yesterday`);
    expect(odd.errors[0]?.message).toContain("'yesterday' is no bookmark");
    expect((await call("POST", `${path}/time_travel/restore`)).errors[0]?.message).toContain(
      "either",
    );
  });
});
