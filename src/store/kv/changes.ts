/**
 * What changed in a KV namespace, in order, for whoever delivers it to functions: rows of `outbox`, written in the
 * transaction of the change and only while somebody is to get them (`settings.changes` of the resource).
 */
const FOLLOWED_KEY = "changes:followed";

export class ChangeLog {
  readonly #storage: DurableObjectStorage;
  #isFollowed: boolean;

  constructor(storage: DurableObjectStorage) {
    this.#storage = storage;
    this.#isFollowed = storage.kv.get(FOLLOWED_KEY) ?? false;
  }

  follow(isFollowed: boolean): void {
    if (isFollowed) {
      this.#storage.sql.exec(
        `CREATE TABLE IF NOT EXISTS outbox (
           seq INTEGER PRIMARY KEY AUTOINCREMENT, op TEXT NOT NULL, key TEXT NOT NULL, at_ms INTEGER NOT NULL
         ) STRICT`,
      );
    }
    if (isFollowed === this.#isFollowed) return;
    this.#storage.kv.put(FOLLOWED_KEY, isFollowed);
    this.#isFollowed = isFollowed;
  }

  /** `delete` also when a key expires. */
  note(op: "put" | "delete", key: string): void {
    if (!this.#isFollowed) return;
    this.#storage.sql.exec(
      `INSERT INTO outbox (op, key, at_ms) VALUES (?, ?, ?)`,
      op,
      key,
      Date.now(),
    );
  }
}
