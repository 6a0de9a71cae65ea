/**
 * The isolate's side of a binding to a D1 database: Cloudflare's `D1Database` over the protocol of the runtime's own binding.
 * Its source text goes into the isolate, so it refers to nothing outside of itself but globals.
 */
export function makeD1(stub: Fetcher): unknown {
  const BOOKMARK = "x-cf-d1-session-commit-token";
  const FIRST_PRIMARY = "first-primary";
  const FIRST_UNCONSTRAINED = "first-unconstrained";
  const { stringify, parse } = JSON;
  const { isArray, from } = Array;
  const isView = (value: object) => TrueBuffer.isView(value);
  const { fromEntries } = Object;
  const TrueError = Error;
  const TrueBuffer = ArrayBuffer;

  type Row = Record<string, unknown>;
  interface Answer {
    readonly success: boolean;
    readonly error?: string;
    readonly meta?: { readonly duration: number };
    readonly results?: Row[] | { readonly columns: string[]; readonly rows: unknown[][] };
  }

  function failure(kind: string, message: string): Error {
    return new TrueError(`${kind}: ${message}`, { cause: new TrueError(message) });
  }

  /** What is sent for a bound value. */
  function toParameter(value: unknown): unknown {
    if (typeof value === "number" || typeof value === "string" || value === null) return value;
    if (typeof value === "boolean") return value ? 1 : 0;
    if (typeof value === "object") {
      const isBytes = (byte: unknown) => typeof byte === "number" && byte >= 0 && byte < 256;
      if (isArray(value) && value.every(isBytes)) return value;
      if (value instanceof TrueBuffer) return from(new Uint8Array(value));
      if (isView(value)) return from(value as unknown as ArrayLike<unknown>);
    }
    // As the native binding says it: what has no text makes it throw a TypeError here, too.
    throw failure(
      "D1_TYPE_ERROR",
      `Type '${typeof value}' not supported for value '${value as string}'`,
    );
  }

  function checked({ error, meta, results }: Answer): Answer {
    if (error) return { success: false, error };
    return { success: true, ...(meta && { meta }), ...(results && { results }) };
  }

  function toObjects(answer: Answer): Answer & { readonly results: Row[] } {
    const { results = [] } = answer;
    if (isArray(results)) return { ...answer, results };
    const { columns, rows } = results;
    const toRow = (row: unknown[]) =>
      fromEntries(row.map((cell, index) => [columns[index], cell])) as Row;
    return { ...answer, results: rows.map(toRow) };
  }

  function firstOf(answers: Answer | Answer[]): Answer {
    return isArray(answers) ? (answers[0] as Answer) : answers;
  }

  /** What statements are sent through; `bookmark` null: there is no session. */
  class D1DatabaseSession {
    #bookmark: string | null;

    constructor(bookmark: string | null) {
      this.#bookmark = bookmark;
    }

    prepare(sql: string): D1PreparedStatement {
      return new D1PreparedStatement(this, sql, []);
    }

    async batch(statements: D1PreparedStatement[]): Promise<unknown[]> {
      const queries = statements.map(({ statement, params }) => ({ sql: statement, params }));
      const answers = await sendOrThrow(this, "/query", queries, "ROWS_AND_COLUMNS");
      return (answers as Answer[]).map(toObjects);
    }

    getBookmark(): string | null {
      const isConstraint =
        this.#bookmark === FIRST_PRIMARY || this.#bookmark === FIRST_UNCONSTRAINED;
      return isConstraint ? null : this.#bookmark;
    }

    static header(session: D1DatabaseSession): string | null {
      return session.#bookmark;
    }

    static learn(session: D1DatabaseSession, bookmark: string): void {
      if (session.#bookmark === null || bookmark === "") return;
      const known = session.getBookmark();
      if (known === null || known.localeCompare(bookmark) < 0) session.#bookmark = bookmark;
    }
  }

  async function send(
    session: D1DatabaseSession,
    path: string,
    body: unknown,
    format: string,
  ): Promise<Answer | Answer[]> {
    const headers: Record<string, string> = { "content-type": "application/json" };
    const bookmark = D1DatabaseSession.header(session);
    if (bookmark !== null) headers[BOOKMARK] = bookmark;
    const response = await stub.fetch(`http://d1${path}?resultsFormat=${format}`, {
      method: "POST",
      headers,
      body: stringify(body),
    });
    D1DatabaseSession.learn(session, (response.headers.get(BOOKMARK) ?? "").trim());
    const text = await response.text();
    let answer: Answer | Answer[];
    try {
      answer = parse(text) as Answer | Answer[];
    } catch {
      throw failure("D1_ERROR", `Failed to parse body as JSON, got: ${text}`);
    }
    return isArray(answer) ? answer.map(checked) : checked(answer);
  }

  async function sendOrThrow(
    session: D1DatabaseSession,
    path: string,
    body: unknown,
    format: string,
  ): Promise<Answer | Answer[]> {
    const answers = await send(session, path, body, format);
    const { success, error = "" } = firstOf(answers);
    if (!success) throw failure("D1_ERROR", error);
    return answers;
  }

  class D1PreparedStatement {
    readonly #session: D1DatabaseSession;
    readonly statement: string;
    readonly params: readonly unknown[];

    constructor(session: D1DatabaseSession, statement: string, params: readonly unknown[]) {
      this.#session = session;
      this.statement = statement;
      this.params = params;
    }

    bind(...values: unknown[]): D1PreparedStatement {
      return new D1PreparedStatement(this.#session, this.statement, values.map(toParameter));
    }

    async first(column?: string): Promise<unknown> {
      const [row] = toObjects(await this.#query()).results;
      if (row === undefined) return null;
      if (column === undefined) return row;
      if (row[column] !== undefined) return row[column];
      throw new TrueError(`D1_COLUMN_NOTFOUND: Column not found (${column})`, {
        cause: new TrueError("Column not found"),
      });
    }

    async run(): Promise<unknown> {
      const { statement: sql, params } = this;
      return firstOf(await sendOrThrow(this.#session, "/execute", { sql, params }, "NONE"));
    }

    async all(): Promise<unknown> {
      return toObjects(await this.#query());
    }

    async raw(options?: { columnNames?: boolean }): Promise<unknown[]> {
      const { results } = await this.#query();
      if (results === undefined) return [];
      if (!isArray(results)) {
        return [...(options?.columnNames ? [results.columns] : []), ...results.rows];
      }
      const [first] = results;
      const names = options?.columnNames && first ? [Object.keys(first)] : [];
      return [...names, ...results.map((row) => Object.values(row))];
    }

    async #query(): Promise<Answer> {
      const { statement: sql, params } = this;
      return firstOf(
        await sendOrThrow(this.#session, "/query", { sql, params }, "ROWS_AND_COLUMNS"),
      );
    }
  }

  class D1Database {
    readonly #primary = new D1DatabaseSession(null);

    prepare(sql: string): D1PreparedStatement {
      return this.#primary.prepare(sql);
    }

    // Async, so that bad arguments reject, as those of the native binding do.
    async batch(statements: D1PreparedStatement[]): Promise<unknown[]> {
      return this.#primary.batch(statements);
    }

    async exec(sql: string): Promise<{ count: number; duration: number }> {
      const lines = sql.trim().split("\n");
      const queries = lines.map((line) => ({ sql: line }));
      const answers = await send(this.#primary, "/execute", queries, "NONE");
      const all = isArray(answers) ? answers : [answers];
      let duration = 0;
      for (const [index, { success, error, meta }] of all.entries()) {
        if (!success) {
          const message = error || "Something went wrong";
          throw failure("D1_EXEC_ERROR", `Error in line ${index + 1}: ${lines[index]}: ${message}`);
        }
        duration += meta?.duration ?? 0;
      }
      return { count: all.length, duration };
    }

    withSession(constraintOrBookmark?: string): D1DatabaseSession {
      return new D1DatabaseSession(constraintOrBookmark?.trim() || FIRST_UNCONSTRAINED);
    }

    async dump(): Promise<ArrayBuffer> {
      const response = await stub.fetch("http://d1/dump", {
        method: "POST",
        headers: { "content-type": "application/json" },
      });
      if (response.status === 200) return response.arrayBuffer();
      await response.body?.cancel();
      throw new TrueError(`D1_DUMP_ERROR: Status + ${response.status}`, {
        cause: new TrueError(`Status ${response.status}`),
      });
    }
  }

  return new D1Database();
}
