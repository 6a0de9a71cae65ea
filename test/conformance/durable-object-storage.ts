/** What a Durable Object has for itself: its storage by keys and by SQL, transactions, alarms. Each case has an object of its own. */
import { outcome } from "./cases.ts";

export interface Inside {
  readonly storage: DurableObjectStorage;
  readonly state: DurableObjectState;
  /** Of those that fired. */
  alarms: { readonly retryCount: number; readonly isRetry: boolean }[];
}

type StorageCases = Readonly<Record<string, (inside: Inside) => unknown>>;

const byKey: StorageCases = {
  "a key that is not there": ({ storage }) => storage.get("absent"),
  "put and get": async ({ storage }) => {
    await storage.put("k", { a: [1, new Date(7)] });
    return storage.get("k");
  },
  "values of all kinds": async ({ storage }) => {
    const values: Record<string, unknown> = {
      null: null,
      bool: true,
      number: 1.5,
      text: "käse",
      big: 2n ** 70n,
      date: new Date(7),
      map: new Map([[1, { a: 1 }]]),
      set: new Set(["x"]),
      bytes: new Uint8Array([1, 2]),
      buffer: new ArrayBuffer(3),
      nested: { a: { b: [undefined] } },
      error: new TypeError("kept"),
    };
    await storage.put(values);
    return storage.get(Object.keys(values));
  },
  "several keys at once": async ({ storage }) => {
    await storage.put({ b: 2, a: 1, c: 3 });
    return storage.get(["c", "absent", "a"]);
  },
  "no keys at all": async ({ storage }) => [await storage.get([]), await storage.delete([])],
  "a value that cannot be kept": ({ storage }) =>
    outcome(() => storage.put("k", () => "a function")),
  "nothing for a value": ({ storage }) => outcome(() => storage.put("k", undefined)),
  "a key that is too long": ({ storage }) => outcome(() => storage.put("k".repeat(3000), 1)),
  "a key that is no string": async ({ storage }) => {
    await storage.put(7 as never, "seven");
    return [await storage.get("7"), await storage.list()];
  },
  "the empty key": async ({ storage }) => {
    await storage.put("", "nothing");
    return [await storage.get(""), await storage.list()];
  },
  "too many keys at once": ({ storage }) =>
    outcome(() => storage.get(Array.from({ length: 129 }, (_, index) => `k${index}`))),
  delete: async ({ storage }) => {
    await storage.put({ a: 1, b: 2, c: 3 });
    return [
      await storage.delete("a"),
      await storage.delete("a"),
      await storage.delete(["b", "c", "absent"]),
      await storage.list(),
    ];
  },
  "delete all": async ({ storage }) => {
    await storage.put({ a: 1, b: 2 });
    await storage.deleteAll();
    return storage.list();
  },
  "list in order": async ({ storage }) => {
    await storage.put({ b: 2, a: 1, ä: 4, c: 3, B: 0 });
    return [await storage.list(), await storage.list({ reverse: true })];
  },
  "list a part": async ({ storage }) => {
    await storage.put({ "a:1": 1, "a:2": 2, "a:3": 3, "b:1": 4 });
    return [
      await storage.list({ prefix: "a:" }),
      await storage.list({ start: "a:2" }),
      await storage.list({ startAfter: "a:2" }),
      await storage.list({ end: "a:3" }),
      await storage.list({ prefix: "a:", limit: 2 }),
      await storage.list({ prefix: "a:", limit: 2, reverse: true }),
      await storage.list({ start: "a:2", end: "b:1", reverse: true }),
    ];
  },
  "list with start and startAfter": ({ storage }) =>
    outcome(() => storage.list({ start: "a", startAfter: "b" })),
  "list with a limit of nothing": ({ storage }) => outcome(() => storage.list({ limit: 0 })),
  "options that say how": async ({ storage }) => {
    await storage.put("k", 1, { allowUnconfirmed: true, noCache: true });
    return storage.get("k", { allowConcurrency: true, noCache: true });
  },
  "writes that are not waited for": async ({ storage }) => {
    void storage.put("a", 1);
    void storage.put("a", 2);
    void storage.delete("b");
    return storage.get("a");
  },
  sync: async ({ storage }) => {
    void storage.put("a", 1);
    await storage.sync();
    return storage.get("a");
  },
  "a large value": async ({ storage }) => {
    await storage.put("k", "x".repeat(1_000_000));
    return (await storage.get<string>("k"))?.length;
  },
  "a value that is too large": ({ storage }) =>
    outcome(() => storage.put("k", "x".repeat(3_000_000))),
  "keys without waiting": ({ storage }) => {
    const { kv } = storage;
    kv.put("a", { x: 1 });
    kv.put("b", 2);
    const gone = [kv.delete("b"), kv.delete("b")];
    return [kv.get("a"), kv.get("b"), gone, [...kv.list({ prefix: "a" })]];
  },
};

const transactions: StorageCases = {
  "a transaction": async ({ storage }) => {
    const result = await storage.transaction(async (txn) => {
      await txn.put("a", 1);
      return (await txn.get<number>("a")) ?? 0;
    });
    return [result, await storage.get("a")];
  },
  "a transaction that throws": async ({ storage }) => {
    await storage.put("a", 1);
    const failed = await outcome(() =>
      storage.transaction(async (txn) => {
        await txn.put("a", 2);
        throw new Error("back");
      }),
    );
    return [failed, await storage.get("a")];
  },
  "a transaction that is rolled back": async ({ storage }) => {
    await storage.put("a", 1);
    await storage.transaction(async (txn) => {
      await txn.put("a", 2);
      txn.rollback();
    });
    return storage.get("a");
  },
  "a rolled back transaction that goes on": ({ storage }) =>
    outcome(() =>
      storage.transaction(async (txn) => {
        txn.rollback();
        await txn.put("a", 2);
      }),
    ),
  "a synchronous transaction": ({ storage }) => [
    storage.transactionSync(() => {
      storage.sql.exec("CREATE TABLE t (n)");
      storage.sql.exec("INSERT INTO t VALUES (1)");
      return "done";
    }),
    storage.sql.exec("SELECT n FROM t").toArray(),
  ],
  "a synchronous transaction that throws": async ({ storage }) => {
    storage.sql.exec("CREATE TABLE t (n)");
    const failed = await outcome(() =>
      storage.transactionSync(() => {
        storage.sql.exec("INSERT INTO t VALUES (1)");
        throw new TypeError("back");
      }),
    );
    return [failed, storage.sql.exec("SELECT n FROM t").toArray()];
  },
  "one within another": ({ storage }) => {
    storage.sql.exec("CREATE TABLE t (n)");
    storage.transactionSync(() => {
      storage.sql.exec("INSERT INTO t VALUES (1)");
      try {
        storage.transactionSync(() => {
          storage.sql.exec("INSERT INTO t VALUES (2)");
          throw new Error("only the inner one");
        });
      } catch {
        storage.sql.exec("INSERT INTO t VALUES (3)");
      }
    });
    return storage.sql.exec("SELECT n FROM t ORDER BY n").toArray();
  },
};

const sql: StorageCases = {
  rows: ({ storage }) => {
    storage.sql.exec("CREATE TABLE t (id INTEGER PRIMARY KEY, name TEXT, data BLOB, score REAL)");
    storage.sql.exec(
      "INSERT INTO t (name, data, score) VALUES (?, ?, ?), (?, ?, ?)",
      "a",
      new Uint8Array([1, 2]),
      1.5,
      null,
      null,
      null,
    );
    return storage.sql.exec("SELECT * FROM t ORDER BY id").toArray();
  },
  "columns and raw rows": ({ storage }) => {
    const cursor = storage.sql.exec("SELECT 1 AS a, 'x' AS b, NULL AS c");
    return [cursor.columnNames, [...cursor.raw()]];
  },
  "columns of one name": ({ storage }) => [
    storage.sql.exec("SELECT 1 AS a, 2 AS a").toArray(),
    [...storage.sql.exec("SELECT 1 AS a, 2 AS a").raw()],
  ],
  "one row": ({ storage }) => storage.sql.exec("SELECT 7 AS n").one(),
  "one row of none": ({ storage }) => outcome(() => storage.sql.exec("SELECT 1 WHERE 0").one()),
  "one row of two": ({ storage }) =>
    outcome(() => storage.sql.exec("SELECT 1 UNION SELECT 2").one()),
  "row by row": ({ storage }) => {
    const cursor = storage.sql.exec("SELECT 1 AS n UNION SELECT 2");
    return [cursor.next(), cursor.next(), cursor.next()];
  },
  "a cursor that is read": ({ storage }) => {
    const cursor = storage.sql.exec("SELECT 1 AS n UNION SELECT 2 UNION SELECT 3");
    const seen = [];
    for (const { n } of cursor) seen.push(n);
    return [seen, cursor.toArray()];
  },
  "what was read and written": ({ storage }) => {
    storage.sql.exec("CREATE TABLE t (n)");
    const written = storage.sql.exec("INSERT INTO t VALUES (1), (2), (3)");
    const read = storage.sql.exec("SELECT * FROM t");
    read.toArray();
    return [written.rowsWritten, read.rowsRead];
  },
  "several statements": ({ storage }) =>
    storage.sql.exec("CREATE TABLE t (n); INSERT INTO t VALUES (5); SELECT n FROM t").toArray(),
  "parameters by number": ({ storage }) =>
    storage.sql.exec("SELECT ?2 AS b, ?1 AS a", "one", 2).toArray(),
  "too few parameters": ({ storage }) =>
    outcome(() => storage.sql.exec("SELECT ?, ?", 1).toArray()),
  "too many parameters": ({ storage }) =>
    outcome(() => storage.sql.exec("SELECT ?", 1, 2).toArray()),
  "a parameter that is none": ({ storage }) =>
    outcome(() => storage.sql.exec("SELECT ?", {} as never).toArray()),
  "a large integer": ({ storage }) =>
    storage.sql.exec("SELECT 9007199254740993 AS n, typeof(?) AS t", 2 ** 40).toArray(),
  "a boolean": ({ storage }) =>
    outcome(() => storage.sql.exec("SELECT ?", true as never).toArray()),
  "a table that is not there": ({ storage }) =>
    outcome(() => storage.sql.exec("SELECT * FROM absent")),
  "no SQL": ({ storage }) => outcome(() => storage.sql.exec("SELEKT 1")),
  nothing: ({ storage }) => outcome(() => storage.sql.exec("").toArray()),
  "a constraint": async ({ storage }) => {
    storage.sql.exec("CREATE TABLE t (n UNIQUE)");
    storage.sql.exec("INSERT INTO t VALUES (1)");
    return outcome(() => storage.sql.exec("INSERT INTO t VALUES (1)"));
  },
  "BEGIN is refused": ({ storage }) => outcome(() => storage.sql.exec("BEGIN TRANSACTION")),
  "ATTACH is refused": ({ storage }) => outcome(() => storage.sql.exec("ATTACH 'x.db' AS x")),
  "PRAGMA of the files is refused": ({ storage }) =>
    outcome(() => storage.sql.exec("PRAGMA journal_mode = DELETE").toArray()),
  "PRAGMA table_info": ({ storage }) => {
    storage.sql.exec("CREATE TABLE t (a INTEGER, b TEXT)");
    return storage.sql.exec("SELECT name, type FROM pragma_table_info('t')").toArray();
  },
  "tables of the runtime are out of reach": ({ storage }) =>
    outcome(() => storage.sql.exec("SELECT * FROM _cf_KV").toArray()),
  "functions of SQLite": ({ storage }) =>
    storage.sql
      .exec(
        "SELECT json_extract('{\"a\":[1,2]}', '$.a[1]') AS j, upper('a') AS u, round(1.26, 1) AS r",
      )
      .toArray(),
  "full text search": ({ storage }) => {
    storage.sql.exec("CREATE VIRTUAL TABLE f USING fts5(text)");
    storage.sql.exec("INSERT INTO f VALUES ('a quick fox'), ('a slow dog')");
    return storage.sql.exec("SELECT text FROM f WHERE f MATCH 'fox'").toArray();
  },
  "the size of the database": ({ storage }) => {
    storage.sql.exec("CREATE TABLE t (n)");
    return storage.sql.databaseSize > 0 && storage.sql.databaseSize % 4096 === 0;
  },
  "rows are gone with delete all": async ({ storage }) => {
    storage.sql.exec("CREATE TABLE t (n)");
    await storage.deleteAll();
    return outcome(() => storage.sql.exec("SELECT * FROM t"));
  },
};

/** Waits for what an alarm does, for long enough to be retried after two seconds. */
async function fired(inside: Inside, count: number): Promise<unknown> {
  for (let tries = 0; tries < 400 && inside.alarms.length < count; tries++) {
    await new Promise((resolve) => setTimeout(resolve, 25));
  }
  return inside.alarms;
}

const alarms: StorageCases = {
  "no alarm": ({ storage }) => storage.getAlarm(),
  "an alarm is set": async ({ storage }) => {
    const at = Date.now() + 3_600_000;
    await storage.setAlarm(at);
    return (await storage.getAlarm()) === at;
  },
  "an alarm is set by a date": async ({ storage }) => {
    const at = new Date(Date.now() + 3_600_000);
    await storage.setAlarm(at);
    return (await storage.getAlarm()) === at.getTime();
  },
  "an alarm is set anew": async ({ storage }) => {
    const at = Date.now() + 3_600_000;
    await storage.setAlarm(at);
    await storage.setAlarm(at + 1000);
    return (await storage.getAlarm()) === at + 1000;
  },
  "an alarm is deleted": async ({ storage }) => {
    await storage.setAlarm(Date.now() + 3_600_000);
    await storage.deleteAlarm();
    return storage.getAlarm();
  },
  "an alarm at no time": ({ storage }) => outcome(() => storage.setAlarm(Number.NaN)),
  "an alarm at a negative time": ({ storage }) => outcome(() => storage.setAlarm(-5)),
  "an alarm fires": async (inside) => {
    await inside.storage.setAlarm(Date.now() + 30);
    return [await fired(inside, 1), await inside.storage.getAlarm()];
  },
  "an alarm of the past fires": async (inside) => {
    await inside.storage.setAlarm(1);
    return fired(inside, 1);
  },
  "an alarm that fails fires again": async (inside) => {
    await inside.storage.put("alarm-fails", true);
    await inside.storage.setAlarm(Date.now());
    return fired(inside, 2);
  },
  "an alarm in a transaction that is rolled back": async ({ storage }) => {
    await storage.transaction(async (txn) => {
      await txn.setAlarm(Date.now() + 3_600_000);
      txn.rollback();
    });
    return storage.getAlarm();
  },
  "delete all and an alarm": async ({ storage }) => {
    await storage.setAlarm(Date.now() + 3_600_000);
    await storage.deleteAll();
    return (await storage.getAlarm()) === null;
  },
};

export const storageCases: StorageCases = { ...byKey, ...transactions, ...sql, ...alarms };
