/** D1: every method, type, limit and error of the binding. What differs from machine to machine is taken out of `meta`. */
import { outcome, type Cases } from "./cases.ts";

type Run = (db: D1Database) => unknown;

/** A case on its database, with what it throws. */
const on =
  (run: Run): Cases[string] =>
  ({ DB }) =>
    outcome(async () => plain(await run(DB)));

/**
 * For statements that change the schema: what they read and write of it depends on how many tables there are, and a database
 * of ours, as one of Cloudflare's, has one that Miniflare's has not.
 */
const onSchema =
  (run: Run): Cases[string] =>
  ({ DB }) =>
    outcome(async () => withoutCounts(plain(await run(DB))));

function withoutCounts(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withoutCounts);
  if (typeof value !== "object" || value === null || !("meta" in value)) return value;
  const { rows_read: _read, rows_written: _written, ...meta } = value.meta as D1Meta;
  return { ...value, meta };
}

/** Without what no two machines have in common. */
function plain(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(plain);
  if (typeof value !== "object" || value === null || !("meta" in value)) return value;
  const { duration, timings, served_by, size_after, ...meta } = value.meta as D1Meta & {
    served_by?: string;
    timings?: { sql_duration_ms: number };
  };
  const types = [
    typeof duration,
    typeof timings?.sql_duration_ms,
    typeof served_by,
    typeof size_after,
  ];
  return { ...value, meta: { ...meta, types } };
}

const select = (db: D1Database, expression: string, ...values: unknown[]) =>
  db
    .prepare(`SELECT ${expression} AS v`)
    .bind(...values)
    .first("v");

const TABLE = `CREATE TABLE users (id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL UNIQUE, age INTEGER CHECK (age >= 0), data BLOB)`;

export const d1Cases: Cases = {
  // Schema
  "create a table": onSchema((db) => db.prepare(TABLE).run()),
  "create it again": on((db) => db.prepare(TABLE).run()),
  "create it if it is not there": onSchema((db) =>
    db.prepare(TABLE.replace("TABLE", "TABLE IF NOT EXISTS")).run(),
  ),
  "create an index": onSchema((db) => db.prepare(`CREATE INDEX by_age ON users (age)`).run()),
  "a table that is not there": on((db) => db.prepare(`SELECT * FROM nobody`).all()),
  "a column that is not there": on((db) => db.prepare(`SELECT nothing FROM users`).all()),
  "bad syntax": on((db) => db.prepare(`SELEC 1`).all()),
  "half a statement": on((db) => db.prepare(`SELECT * FROM`).all()),
  "no statement": on((db) => db.prepare(``).all()),
  "only a comment": on((db) => db.prepare(`-- nothing`).all()),
  "a comment at the end": on((db) => db.prepare(`SELECT 1 AS one -- one`).all()),
  "a semicolon at the end": on((db) => db.prepare(`SELECT 1 AS one;`).all()),
  "two statements": on((db) => db.prepare(`SELECT 1 AS one; SELECT 2 AS two`).all()),
  "two statements, of which the first writes": on((db) =>
    db
      .prepare(`INSERT INTO users (name) VALUES ('two'); DELETE FROM users WHERE name = 'two'`)
      .run(),
  ),

  // Writing
  "insert a row": on((db) =>
    db.prepare(`INSERT INTO users (name, age) VALUES (?, ?)`).bind("ada", 36).run(),
  ),
  "insert more": on((db) =>
    db
      .prepare(`INSERT INTO users (name, age) VALUES (?1, ?2), (?3, ?2)`)
      .bind("bob", 40, "cy")
      .run(),
  ),
  "insert returning": on((db) =>
    db
      .prepare(`INSERT INTO users (name, age) VALUES (?, ?) RETURNING id, name`)
      .bind("dora", 25)
      .all(),
  ),
  "run with a result": on((db) =>
    db.prepare(`INSERT INTO users (name, age) VALUES ('eve', 30) RETURNING id, name`).run(),
  ),
  "run a query": on((db) => db.prepare(`SELECT name FROM users ORDER BY name`).run()),
  "update rows": on((db) =>
    db.prepare(`UPDATE users SET age = age + 1 WHERE age < ?`).bind(37).run(),
  ),
  "update none": on((db) => db.prepare(`UPDATE users SET age = 1 WHERE id = 999`).run()),
  "replace a row": on((db) => db.prepare(`REPLACE INTO users (id, name) VALUES (1, 'ada')`).run()),
  "upsert a row": on((db) =>
    db
      .prepare(
        `INSERT INTO users (name, age) VALUES ('bob', 1) ON CONFLICT (name) DO UPDATE SET age = 41 RETURNING *`,
      )
      .all(),
  ),
  "delete a row": on((db) => db.prepare(`DELETE FROM users WHERE name = ?`).bind("cy").run()),
  "a name twice": on((db) => db.prepare(`INSERT INTO users (name) VALUES ('ada')`).run()),
  "no name": on((db) => db.prepare(`INSERT INTO users (name) VALUES (NULL)`).run()),
  "an age that the check refuses": on((db) =>
    db.prepare(`INSERT INTO users (name, age) VALUES ('f', -1)`).run(),
  ),
  "a primary key twice": on((db) =>
    db.prepare(`INSERT INTO users (id, name) VALUES (2, 'g')`).run(),
  ),

  // Reading
  "all rows": on((db) => db.prepare(`SELECT * FROM users ORDER BY id`).all()),
  "no rows": on((db) => db.prepare(`SELECT * FROM users WHERE id = 0`).all()),
  "the first row": on((db) => db.prepare(`SELECT * FROM users ORDER BY id`).first()),
  "the first row of none": on((db) => db.prepare(`SELECT * FROM users WHERE id = 0`).first()),
  "a column of the first row": on((db) =>
    db.prepare(`SELECT name, age FROM users ORDER BY id`).first("name"),
  ),
  "a null column": on((db) => db.prepare(`SELECT data FROM users ORDER BY id`).first("data")),
  "a column of no row": on((db) => db.prepare(`SELECT name FROM users WHERE id = 0`).first("name")),
  "a column that the row lacks": on((db) => db.prepare(`SELECT name FROM users`).first("age")),
  "raw rows": on((db) => db.prepare(`SELECT id, name FROM users ORDER BY id`).raw()),
  "raw rows with names": on((db) =>
    db.prepare(`SELECT id, name FROM users ORDER BY id`).raw({ columnNames: true }),
  ),
  "raw rows of none, with names": on((db) =>
    db.prepare(`SELECT id, name FROM users WHERE id = 0`).raw({ columnNames: true }),
  ),
  "two columns of one name, raw": on((db) =>
    db.prepare(`SELECT 1 AS a, 2 AS a`).raw({ columnNames: true }),
  ),
  "two columns of one name": on((db) => db.prepare(`SELECT 1 AS a, 2 AS a`).all()),
  "a column without a name": on((db) => db.prepare(`SELECT 1 + 1, count(*) FROM users`).all()),
  "a join": on((db) =>
    db
      .prepare(
        `SELECT a.name, b.name AS other FROM users a JOIN users b ON a.id < b.id ORDER BY 1, 2`,
      )
      .all(),
  ),
  "a recursive query": on((db) =>
    db
      .prepare(
        `WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 5) SELECT i FROM n`,
      )
      .raw(),
  ),
  "a window": on((db) =>
    db.prepare(`SELECT name, row_number() OVER (ORDER BY name) AS n FROM users`).raw(),
  ),
  "JSON functions": on((db) => select(db, `json_extract(?, '$.a[1]')`, `{"a":[1,2]}`)),
  "full text search": onSchema((db) =>
    db.batch([
      db.prepare(`CREATE VIRTUAL TABLE notes USING fts5(body)`),
      db.prepare(`INSERT INTO notes VALUES ('a hive of bees'), ('nothing')`),
      db.prepare(`SELECT body FROM notes WHERE notes MATCH 'bees'`),
    ]),
  ),
  "tables as SQLite lists them": on((db) =>
    db
      .prepare(
        `SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE '\\_cf%' ESCAPE '\\' ORDER BY name`,
      )
      .raw(),
  ),
  "columns as a pragma tells them": onSchema((db) => db.prepare(`PRAGMA table_info(users)`).all()),
  "indexes as a pragma tells them": on((db) => db.prepare(`PRAGMA index_list(users)`).raw()),

  // Types
  "an integer": on((db) => select(db, "?", 42)),
  "a negative zero": on((db) => select(db, "?", -0)),
  "a fraction": on((db) => select(db, "?", 0.1)),
  "a large integer": on((db) => select(db, "?", 2 ** 53)),
  "an integer beyond 53 bits": on((db) => select(db, "9223372036854775807")),
  "the type of a whole number": on((db) => select(db, "typeof(?)", 42)),
  "not a number": on((db) => select(db, "?", NaN)),
  infinity: on((db) => select(db, "?", Infinity)),
  "infinity of SQLite": on((db) => select(db, "9e999")),
  "a text": on((db) => select(db, "?", "naïve 🐝")),
  "an empty text": on((db) => select(db, "?", "")),
  "a text with a null character": on((db) => select(db, "length(?)", "a\0b")),
  "half a character": on((db) => select(db, "?", "\ud800")),
  true: on((db) => select(db, "?", true)),
  false: on((db) => select(db, "?", false)),
  null: on((db) => select(db, "?", null)),
  "an ArrayBuffer": on((db) => select(db, "?", new Uint8Array([0, 1, 255]).buffer)),
  "a Uint8Array": on((db) => select(db, "?", new Uint8Array([9, 8]))),
  "its hex": on((db) => select(db, "hex(?)", new Uint8Array([9, 8]))),
  "a DataView": on((db) => select(db, "hex(?)", new DataView(new ArrayBuffer(2)))),
  "a Float64Array": on((db) => select(db, "hex(?)", new Float64Array([1.5, 300]))),
  "an array of bytes": on((db) => select(db, "?", [1, 2, 3])),
  "an empty array": on((db) => select(db, "typeof(?)", [])),
  "an empty blob": on((db) => select(db, "x''")),
  "a blob stored and read": on((db) =>
    db.batch([
      db.prepare(`UPDATE users SET data = ? WHERE id = 1`).bind(new Uint8Array([1, 2, 3])),
      db.prepare(`SELECT data, typeof(data) AS type FROM users WHERE id = 1`),
    ]),
  ),
  "an array of texts": on((db) => select(db, "?", ["a"])),
  "an object": on((db) => select(db, "?", { a: 1 })),
  "a date": on((db) => select(db, "?", new Date(0))),
  undefined: on((db) => select(db, "?", undefined)),
  "a bigint": on((db) => select(db, "?", 1n)),
  "a function": on((db) => select(db, "?", () => 1)),
  "a symbol": on((db) => select(db, "?", Symbol("s"))),

  // Parameters
  "numbered parameters": on((db) => db.prepare(`SELECT ?2 AS b, ?1 AS a`).bind("x", "y").first()),
  "one parameter twice": on((db) => db.prepare(`SELECT ?1 AS a, ?1 AS b`).bind("x").first()),
  "named parameters": on((db) => db.prepare(`SELECT :a AS a`).bind("x").first()),
  "too few parameters": on((db) => db.prepare(`SELECT ?, ?`).bind(1).first()),
  "too many parameters": on((db) => db.prepare(`SELECT ?`).bind(1, 2).first()),
  "none bound": on((db) => db.prepare(`SELECT ?`).first()),
  "bound twice": on((db) => {
    const statement = db.prepare(`SELECT ? AS v`);
    const [one, two] = [statement.bind(1), statement.bind(2)];
    return Promise.all([one.first("v"), two.first("v"), one.first("v")]);
  }),
  "a hundred parameters": on((db) => {
    const values = Array.from({ length: 100 }, (_, index) => index);
    return db
      .prepare(`SELECT ${values.map(() => "?").join(" + ")} AS v`)
      .bind(...values)
      .first("v");
  }),
  "more than a hundred parameters": on((db) => {
    const values = Array.from({ length: 101 }, (_, index) => index);
    return db
      .prepare(`SELECT max(${values.map(() => "?").join(", ")}) AS v`)
      .bind(...values)
      .first("v");
  }),
  "a statement of 100,001 bytes": on((db) =>
    db.prepare(`SELECT 1 -- ${"x".repeat(100_001 - 12)}`).first(),
  ),
  "a statement of 90,000 bytes": on((db) =>
    db.prepare(`SELECT '${"x".repeat(90_000)}' AS v`).first("v"),
  ),
  "a text of 1.9 MB": on(async (db) => String(await select(db, "?", "x".repeat(1_900_000))).length),
  "more than a hundred columns": on((db) =>
    db
      .prepare(
        `CREATE TABLE wide (${Array.from({ length: 101 }, (_, index) => `c${index}`).join(", ")})`,
      )
      .run(),
  ),

  // Batches
  "a batch": on((db) =>
    db.batch([
      db.prepare(`INSERT INTO users (name, age) VALUES ('hal', 9)`),
      db.prepare(`SELECT name FROM users WHERE age = ?`).bind(9),
      db.prepare(`DELETE FROM users WHERE name = 'hal'`),
    ]),
  ),
  "a batch that fails": on((db) =>
    db.batch([
      db.prepare(`INSERT INTO users (name) VALUES ('ivy')`),
      db.prepare(`INSERT INTO users (name) VALUES ('ada')`),
    ]),
  ),
  "what a batch that fails leaves": on((db) =>
    db.prepare(`SELECT * FROM users WHERE name = 'ivy'`).all(),
  ),
  "an empty batch": on((db) => db.batch([])),
  "a batch with a comment": on((db) =>
    db.batch([db.prepare(`-- nothing`), db.prepare(`SELECT 1 AS one`)]),
  ),
  "a batch that is no list": on((db) => db.batch({} as never)),
  "a batch with a syntax error": on((db) =>
    db.batch([db.prepare(`SELECT 1`), db.prepare(`nonsense`)]),
  ),

  // Many statements
  "exec one line": on(async (db) => (await db.exec(`SELECT 1`)).count),
  "exec two lines": on(async (db) => (await db.exec(`SELECT 1;\nSELECT 2;`)).count),
  "exec two in a line": on(async (db) => (await db.exec(`SELECT 1; SELECT 2`)).count),
  "exec tells": on(async (db) => Object.keys(await db.exec(`SELECT 1`))),
  "exec with an error": on((db) => db.exec(`SELECT 1\nSELECT * FROM nobody`)),
  "exec with an error in the first line": on((db) => db.exec(`nonsense\nSELECT 1`)),
  "exec nothing": on((db) => db.exec(``)),
  "exec with empty lines": on(async (db) => (await db.exec(`\n\nSELECT 1\n\n`)).count),
  "exec over two lines": on((db) => db.exec(`SELECT\n1`)),

  // Transactions and what is not allowed
  "begin a transaction": on((db) => db.prepare(`BEGIN TRANSACTION`).run()),
  commit: on((db) => db.prepare(`COMMIT`).run()),
  "a savepoint": on((db) => db.prepare(`SAVEPOINT s`).run()),
  "attach a database": on((db) => db.prepare(`ATTACH ':memory:' AS other`).run()),
  vacuum: on((db) => db.prepare(`VACUUM`).run()),
  "a pragma that is not allowed": on((db) => db.prepare(`PRAGMA journal_mode = DELETE`).run()),
  "write the schema": on((db) => db.prepare(`PRAGMA writable_schema = ON`).run()),
  "load an extension": on((db) => select(db, "load_extension('x')")),
  "the version of SQLite": on((db) => select(db, "sqlite_version()")),
  "a table of the runtime": on((db) => db.prepare(`SELECT * FROM _cf_METADATA`).all()),
  "a table with the runtime's prefix": on((db) => db.prepare(`CREATE TABLE _cf_mine (a)`).run()),
  "a temporary table": on((db) => db.prepare(`CREATE TEMP TABLE t (a)`).run()),
  "foreign keys": onSchema((db) =>
    db.batch([
      db.prepare(
        `CREATE TABLE posts (id INTEGER PRIMARY KEY, author INTEGER REFERENCES users (id) ON DELETE CASCADE)`,
      ),
      db.prepare(`INSERT INTO posts (author) VALUES (1), (1)`),
    ]),
  ),
  "a foreign key that leads nowhere": on((db) =>
    db.prepare(`INSERT INTO posts (author) VALUES (999)`).run(),
  ),
  "a cascade": on((db) => db.prepare(`DELETE FROM users WHERE id = 1`).run()),
  "deferred foreign keys": on((db) =>
    db.batch([
      db.prepare(`PRAGMA defer_foreign_keys = ON`),
      db.prepare(`INSERT INTO posts (author) VALUES (77)`),
      db.prepare(`INSERT INTO users (id, name) VALUES (77, 'late')`),
    ]),
  ),
  "a trigger": onSchema((db) =>
    db.batch([
      db.prepare(`CREATE TABLE log (what TEXT)`),
      db.prepare(
        `CREATE TRIGGER logged AFTER INSERT ON users BEGIN INSERT INTO log VALUES (NEW.name); END`,
      ),
      db.prepare(`INSERT INTO users (name) VALUES ('jim')`),
      db.prepare(`SELECT * FROM log`),
    ]),
  ),
  "a trigger that raises": onSchema((db) =>
    db.batch([
      db.prepare(
        `CREATE TRIGGER no BEFORE DELETE ON log BEGIN SELECT RAISE(ABORT, 'kept for ever'); END`,
      ),
      db.prepare(`DELETE FROM log`),
    ]),
  ),
  "a view": onSchema((db) =>
    db.batch([
      db.prepare(`CREATE VIEW names AS SELECT name FROM users`),
      db.prepare(`SELECT count(*) AS n FROM names`),
    ]),
  ),
  "a column more": onSchema((db) =>
    db.batch([
      db.prepare(`ALTER TABLE log ADD COLUMN at INTEGER DEFAULT 7`),
      db.prepare(`SELECT * FROM log`),
    ]),
  ),
  "another name": onSchema((db) =>
    db.batch([
      db.prepare(`ALTER TABLE log RENAME TO journal`),
      db.prepare(`SELECT count(*) AS n FROM journal`),
    ]),
  ),
  "explain a query plan": on((db) =>
    db.prepare(`EXPLAIN QUERY PLAN SELECT * FROM users WHERE id = 1`).all(),
  ),
  "a division by zero": on((db) => select(db, "1 / 0")),
  "an overflow": on((db) => select(db, "abs(-9223372036854775808)")),
  "drop tables": onSchema((db) =>
    db.batch(["names"].map((name) => db.prepare(`DROP VIEW ${name}`))),
  ),
  "drop what is not there": on((db) => db.prepare(`DROP TABLE nobody`).run()),

  // Sessions
  "a session": on((db) => db.withSession().prepare(`SELECT 1 AS one`).all()),
  "a session on the primary": on((db) =>
    db.withSession("first-primary").prepare(`SELECT 1 AS one`).first(),
  ),
  "no bookmark before the first query": on((db) => db.withSession("first-primary").getBookmark()),
  "none without constraint": on((db) => db.withSession().getBookmark()),
  "the bookmark that was given": on((db) => db.withSession("00000001-00000002").getBookmark()),
  "an empty bookmark": on((db) => db.withSession(" ").getBookmark()),
  "a bookmark after a query": on(async (db) => {
    const session = db.withSession("first-primary");
    await session.prepare(`SELECT 1`).first();
    const first = session.getBookmark();
    await session.prepare(`SELECT 2`).first();
    const second = session.getBookmark();
    return [typeof first, (first ?? "") <= (second ?? "")];
  }),
  "a session goes on from a bookmark": on(async (db) => {
    const session = db.withSession("first-primary");
    await session.batch([session.prepare(`INSERT INTO users (name) VALUES ('kim')`)]);
    const next = db.withSession(session.getBookmark() ?? "");
    return next.prepare(`SELECT name FROM users WHERE name = 'kim'`).first();
  }),
  "a session has no exec": on(
    (db) => typeof (db.withSession() as unknown as { exec: unknown }).exec,
  ),
  "a statement of the database in a session's batch": on(async (db) => {
    const [answer] = await db.withSession().batch([db.prepare(`SELECT 1 AS one`)]);
    return answer?.results;
  }),

  // What is there
  "methods of a database": on((db) =>
    ["prepare", "batch", "exec", "withSession", "dump", "close"].map(
      (name) => typeof (db as never)[name],
    ),
  ),
  "methods of a statement": on((db) =>
    ["bind", "first", "all", "run", "raw", "close"].map(
      (name) => typeof (db.prepare("") as never)[name],
    ),
  ),
  classes: on((db) => [
    db.constructor.name,
    db.prepare("").constructor.name,
    db.withSession().constructor.name,
  ]),
  dump: on((db) => db.dump()),
  "a hundred queries at once": on(async (db) => {
    const all = Array.from({ length: 100 }, (_, index) =>
      db.prepare(`SELECT ? AS v`).bind(index).first<number>("v"),
    );
    return (await Promise.all(all)).reduce<number>((sum, value) => sum + (value ?? 0), 0);
  }),
};
