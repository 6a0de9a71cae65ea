/** What the invocations of a script take, for the quota: their rows, with payloads and responses as long as these are kept. */

/** Of a row without its texts, with its places in indexes. */
export const ROW_BYTES = 1000;

const TEXTS = [
  "idempotency_key",
  "content_type",
  "payload",
  "r2",
  "error",
  "response",
  "destination",
  "destination_error",
];
const BYTES = [ROW_BYTES, ...TEXTS.map((name) => `coalesce(octet_length(${name}), 0)`)].join(" + ");

export class KeptBytes {
  readonly #sql: SqlStorage;
  #sum = 0;

  constructor(sql: SqlStorage) {
    this.#sql = sql;
    this.recount();
  }

  get sum(): number {
    return this.#sum;
  }

  /** A row was made. */
  add(seq: number): void {
    this.#sum += this.#bytesOf(seq);
  }

  /** Does something with a row. */
  change(seq: number, work: () => void): void {
    this.#sum -= this.#bytesOf(seq);
    work();
    this.#sum += this.#bytesOf(seq);
  }

  recount(): void {
    this.#sum = this.#ask(`SELECT coalesce(sum(${BYTES}), 0) AS bytes FROM invocations`);
  }

  #bytesOf(seq: number): number {
    return this.#ask(`SELECT ${BYTES} AS bytes FROM invocations WHERE seq = ?`, seq);
  }

  #ask(query: string, ...values: number[]): number {
    return this.#sql.exec<{ bytes: number }>(query, ...values).one().bytes;
  }
}
