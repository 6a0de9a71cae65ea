/**
 * The registry's clock: one number that grows with every change that edges care about, and the outbox
 * of names whose state they have not confirmed. Both change in the transaction of the change itself, so
 * that neither a crash of the hub nor a client that hangs up can leave an edge behind for good.
 */

/** The row of the outbox that stands for the whole route table. */
const ROUTES_ROW = ["", ""] as const;

export function currentGeneration(sql: SqlStorage): number {
  return sql.exec<{ value: number }>(`SELECT value FROM meta WHERE key = 'generation'`).one().value;
}

export interface Change {
  readonly generation: number;
  /** With its previews. `prewarm`: edges should load its versions before they take them into use. */
  script(namespace: string, script: string, prewarm?: boolean): void;
  routes(): void;
}

/** Starts a change: call within a transaction, and name everything that it touches. */
export function beginChange(sql: SqlStorage): Change {
  sql.exec(`UPDATE meta SET value = value + 1 WHERE key = 'generation'`);
  const generation = currentGeneration(sql);
  const touch = (namespace: string, script: string, prewarm = false) => {
    sql.exec(
      `INSERT INTO outbox (namespace, script, generation, prewarm) VALUES (?, ?, ?, ?)
       ON CONFLICT DO UPDATE SET generation = excluded.generation, prewarm = MAX(prewarm, excluded.prewarm)`,
      namespace,
      script,
      generation,
      Number(prewarm),
    );
    sql.exec(
      `INSERT INTO outbox (namespace, script, generation) SELECT namespace, name, ?1 FROM previews
       WHERE namespace = ?2 AND script = ?3 ON CONFLICT DO UPDATE SET generation = excluded.generation`,
      generation,
      namespace,
      script,
    );
  };
  return { generation, script: touch, routes: () => touch(...ROUTES_ROW) };
}

export interface Pending {
  readonly scripts: readonly {
    readonly namespace: string;
    readonly script: string;
    readonly prewarm: boolean;
  }[];
  readonly routes: boolean;
}

export function pendingChanges(sql: SqlStorage): Pending {
  const rows = sql
    .exec<{ namespace: string; script: string; prewarm: number }>(
      `SELECT namespace, script, prewarm FROM outbox ORDER BY namespace, script`,
    )
    .toArray();
  return {
    scripts: rows
      .filter((row) => row.script !== "")
      .map((row) => ({ ...row, prewarm: row.prewarm !== 0 })),
    routes: rows.some((row) => row.script === ""),
  };
}

/** Drops what was confirmed; names touched again since stay. */
export function confirm(sql: SqlStorage, generation: number): void {
  sql.exec(`DELETE FROM outbox WHERE generation <= ?`, generation);
}
