/** Changed rows of a database, as the store notes them for whoever delivers them (src/store/d1/changes.ts). */
import { beforeAll, describe, expect, it } from "vitest";
import { ACCOUNT, bootstrap, call, hub, request } from "../../hub/test/api.ts";
import { STORE_HEADER, type StoreConfig } from "../../protocol/store.ts";
import type { Change } from "../../store/d1/changes.ts";

const D1 = `/accounts/${ACCOUNT}/d1/database`;

beforeAll(async () => {
  await bootstrap();
});

let made = 0;

class Database {
  readonly id: string;

  private constructor(id: string) {
    this.id = id;
  }

  static async make(): Promise<Database> {
    const { result } = await call("POST", D1, { name: `changing-${++made}` });
    return new Database(result.uuid as string);
  }

  async subscribe(...changes: string[]): Promise<void> {
    const config: Partial<StoreConfig> = {
      kind: "d1",
      id: this.id,
      accountId: ACCOUNT,
      namespaceId: null,
      namespace: null,
      limits: {},
      settings: { changes },
    };
    const init = { method: "PUT", body: JSON.stringify(config) };
    const response = await hub.STORE.fetch(`http://store/configs/d1/${this.id}`, init);
    if (response.status !== 204) throw new Error(await response.text());
  }

  /** By the protocol of the binding; each list is a transaction. */
  async run(...statements: string[]): Promise<{ error?: string; meta: { changes: number } }[]> {
    const response = await hub.STORE.fetch("http://store/query?resultsFormat=NONE", {
      method: "POST",
      headers: { [STORE_HEADER]: JSON.stringify({ kind: "d1", id: this.id }) },
      body: JSON.stringify(statements.map((sql) => ({ sql }))),
    });
    const answer = await response.json();
    return (Array.isArray(answer) ? answer : [answer]) as never;
  }

  async changes(after = 0, limit = 100): Promise<Change[]> {
    const path = `http://store/d1/${this.id}/changes?after=${after}&limit=${limit}`;
    return (await (await hub.STORE.fetch(path)).json<{ changes: Change[] }>()).changes;
  }

  async trim(upTo: number): Promise<void> {
    const init = { method: "POST", body: JSON.stringify({ upTo }) };
    await hub.STORE.fetch(`http://store/d1/${this.id}/changes/trim`, init);
  }
}

/** Without what is known elsewhere. */
function brief(changes: readonly Change[]) {
  return changes.map(({ table, op, key, old, new: now }) => ({ table, op, key, old, new: now }));
}

describe("changes of rows", () => {
  it("are noted in order, with key, old and new row", async () => {
    const db = await Database.make();
    await db.subscribe("t");
    await db.run("CREATE TABLE t (id INTEGER PRIMARY KEY, a TEXT, b BLOB)");
    await db.run("INSERT INTO t (a, b) VALUES ('x', x'00ff'), ('y', NULL)");
    await db.run("UPDATE t SET a = 'z' WHERE id = 2", "DELETE FROM t WHERE id = 1");
    const changes = await db.changes();
    expect(brief(changes)).toEqual([
      {
        table: "t",
        op: "insert",
        key: { id: 1 },
        old: null,
        new: { id: 1, a: "x", b: { hex: "00FF" } },
      },
      { table: "t", op: "insert", key: { id: 2 }, old: null, new: { id: 2, a: "y", b: null } },
      {
        table: "t",
        op: "update",
        key: { id: 2 },
        old: { id: 2, a: "y", b: null },
        new: { id: 2, a: "z", b: null },
      },
      {
        table: "t",
        op: "delete",
        key: { id: 1 },
        old: { id: 1, a: "x", b: { hex: "00FF" } },
        new: null,
      },
    ]);
    const numbers = changes.map(({ seq }) => seq);
    expect(numbers).toEqual(numbers.toSorted((a, b) => a - b));
    expect(Math.abs(Date.now() - (changes[0]?.atMs ?? 0))).toBeLessThan(60_000);
  });

  it("are read on from where somebody stopped, and forgotten up to there; numbers never begin again", async () => {
    const db = await Database.make();
    await db.subscribe("*");
    await db.run("CREATE TABLE t (a)", "INSERT INTO t VALUES (1), (2), (3)");
    const [first, second] = await db.changes(0, 2);
    expect(await db.changes(second?.seq ?? 0)).toHaveLength(1);
    expect(first?.key).toEqual({ rowid: 1 });
    const last = (await db.changes()).at(-1)?.seq ?? 0;
    await db.trim(last);
    expect(await db.changes(last)).toEqual([]);
    await db.run("INSERT INTO t VALUES (4)");
    expect((await db.changes(last))[0]?.seq).toBe(last + 1);
  });

  it("that were rolled back never happened", async () => {
    const db = await Database.make();
    await db.subscribe("t");
    await db.run("CREATE TABLE t (a UNIQUE)", "INSERT INTO t VALUES (1)");
    await db.run("INSERT INTO t VALUES (2)", "INSERT INTO t VALUES (1)");
    expect(await db.changes()).toHaveLength(1);
  });

  it("do not count in what a statement tells, nor are they in a dump", async () => {
    const db = await Database.make();
    await db.subscribe("t");
    await db.run("CREATE TABLE t (a)");
    const [inserted] = await db.run("INSERT INTO t VALUES (1), (2)");
    expect(inserted?.meta.changes).toBe(2);
    const exported = await call("POST", `${D1}/${db.id}/export`, { output_format: "polling" });
    expect(exported.result.status).toBe("complete");
    const reply = await db.run("SELECT * FROM _skep_changes");
    expect(reply[0]?.error).toContain("prohibited");
  });

  it("of other tables are none of it; triggers follow the schema", async () => {
    const db = await Database.make();
    await db.run("CREATE TABLE t (id INTEGER PRIMARY KEY, a)", "CREATE TABLE other (a)");
    await db.subscribe("t");
    await db.run("INSERT INTO other VALUES (1)");
    expect(await db.changes()).toEqual([]);
    const altered = await db.run(
      "ALTER TABLE t ADD COLUMN b DEFAULT 7",
      "INSERT INTO t (a) VALUES (1)",
      "ALTER TABLE t DROP COLUMN a",
      "ALTER TABLE t RENAME COLUMN b TO c",
      "UPDATE t SET c = 8",
    );
    expect(altered.map(({ error }) => error)).toEqual([
      undefined,
      undefined,
      undefined,
      undefined,
      undefined,
    ]);
    expect(brief(await db.changes())).toEqual([
      { table: "t", op: "insert", key: { id: 1 }, old: null, new: { id: 1, a: 1, b: 7 } },
      { table: "t", op: "update", key: { id: 1 }, old: { id: 1, c: 7 }, new: { id: 1, c: 8 } },
    ]);
    await db.run(
      "DROP TABLE t",
      "CREATE TABLE t (k TEXT PRIMARY KEY) WITHOUT ROWID",
      "INSERT INTO t VALUES ('x')",
    );
    expect((await db.changes()).at(-1)).toMatchObject({ op: "insert", key: { k: "x" } });
  });

  it("of cascades, triggers and replaced rows are noted, too", async () => {
    const db = await Database.make();
    await db.subscribe("*");
    await db.run(
      "CREATE TABLE p (id INTEGER PRIMARY KEY)",
      "CREATE TABLE c (id INTEGER PRIMARY KEY, p REFERENCES p (id) ON DELETE CASCADE)",
      "INSERT INTO p VALUES (1)",
      "INSERT INTO c VALUES (10, 1)",
      "DELETE FROM p",
    );
    const seen = (await db.changes()).map(({ table, op }) => `${op} ${table}`);
    expect(seen.toSorted()).toEqual(["delete c", "delete p", "insert c", "insert p"]);
  });

  it("of large rows come without the row; a hundred columns are not too many", async () => {
    const db = await Database.make();
    await db.subscribe("*");
    const columns = Array.from({ length: 100 }, (_, index) => `c${index}`);
    await db.run(
      `CREATE TABLE wide (${columns.join(", ")})`,
      "INSERT INTO wide (c0, c99) VALUES ('a', 'z')",
    );
    expect((await db.changes())[0]?.new).toMatchObject({ c0: "a", c50: null, c99: "z" });
    await db.run(
      "CREATE TABLE large (id INTEGER PRIMARY KEY, t)",
      "INSERT INTO large (t) VALUES (hex(zeroblob(50000)))",
    );
    expect((await db.changes()).at(-1)).toMatchObject({
      table: "large",
      key: { id: 1 },
      new: null,
    });
  });

  it("before one goes back stay; going back is a change of its own", async () => {
    const db = await Database.make();
    const path = `${D1}/${db.id}`;
    await db.subscribe("t");
    await db.run("CREATE TABLE t (a)", "INSERT INTO t VALUES (1)");
    const { bookmark } = (await call("GET", `${path}/time_travel/bookmark`)).result;
    await db.run("INSERT INTO t VALUES (2)");
    const last = (await db.changes()).at(-1)?.seq ?? 0;
    expect((await call("POST", `${path}/time_travel/restore?bookmark=${bookmark}`)).errors).toEqual(
      [],
    );
    expect(await db.changes(last)).toMatchObject([{ seq: last + 1, op: "restore", table: "" }]);
    await db.run("INSERT INTO t VALUES (3)");
    expect((await db.changes(last)).at(-1)).toMatchObject({ op: "insert", new: { a: 3 } });
  });

  it("made by an import are noted, also beside changes of the schema", async () => {
    const db = await Database.make();
    const path = `${D1}/${db.id}`;
    await db.subscribe("t");
    const sql =
      "CREATE TABLE t (a);\nINSERT INTO t VALUES ('x;');\nALTER TABLE t ADD COLUMN b;\nUPDATE t SET b = 1";
    const digest = await crypto.subtle.digest("MD5", new TextEncoder().encode(sql));
    const etag = new Uint8Array(digest).toHex();
    const { filename, upload_url: url } = (
      await call("POST", `${path}/import`, { action: "init", etag })
    ).result;
    const init = { method: "PUT", body: sql, headers: { authorization: "" } };
    await request("PUT", `/../..${new URL(url as string).pathname}`, init);
    const imported = await call("POST", `${path}/import`, { action: "ingest", etag, filename });
    expect(imported.result).toMatchObject({ status: "complete", result: { num_queries: 4 } });
    expect(brief(await db.changes())).toMatchObject([
      { op: "insert", new: { a: "x;" } },
      { op: "update", old: { a: "x;", b: null }, new: { a: "x;", b: 1 } },
    ]);
  });

  it("are noted no more when nobody subscribes", async () => {
    const db = await Database.make();
    await db.subscribe("t");
    await db.run("CREATE TABLE t (a)");
    await db.subscribe();
    await db.run("INSERT INTO t VALUES (1)");
    expect(await db.changes()).toEqual([]);
  });
});
