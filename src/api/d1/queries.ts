/** `…/d1/database/{id}/query` and `/raw`: one answer for each statement. All of a call are one transaction. */
import * as z from "zod";
import type { Result } from "../../store/d1/query.ts";
import type { ApiContext } from "../context.ts";
import { ok } from "../envelope.ts";
import { jsonBody } from "../json-body.ts";
import { databaseOf } from "./databases.ts";
import { askDatabase } from "./store.ts";

const statement = z.object({
  sql: z.string(),
  params: z.array(z.union([z.string(), z.number(), z.boolean(), z.null()])).nullish(),
});

export const body = z.union([statement, z.object({ batch: z.array(statement) })]);

export async function query(c: ApiContext): Promise<Response> {
  const results = await run(c);
  return ok(
    c,
    results.map(({ columns, rows, meta }) => ({
      results: rows.map((row) => Object.fromEntries(columns.map((name, at) => [name, row[at]]))),
      success: true,
      meta,
    })),
  );
}

export async function raw(c: ApiContext): Promise<Response> {
  const results = await run(c);
  return ok(
    c,
    results.map(({ columns, rows, meta }) => ({ results: { columns, rows }, success: true, meta })),
  );
}

async function run(c: ApiContext): Promise<Result[]> {
  const given = await jsonBody(c, body);
  const { id } = await databaseOf(c);
  const statements = "batch" in given ? given.batch : [given];
  const queries = statements.map(({ sql, params }) => ({
    sql,
    params: (params ?? []).map((value) => (typeof value === "boolean" ? Number(value) : value)),
  }));
  return askDatabase(c, id, "POST", "query", { queries });
}
