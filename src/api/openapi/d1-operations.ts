/** Entries of operations.ts for D1 (`routeD1`). */
import * as z from "zod";
import { change, creation } from "../d1/databases.ts";
import { body } from "../d1/queries.ts";
import { exporting, importing } from "../d1/transfers.ts";
import * as answer from "./answers.ts";
import type { Operation } from "./operations.ts";

const database = z.strictObject({
  uuid: z.string(),
  name: z.string(),
  version: z.literal("production"),
  created_at: z.string(),
  dispatch_namespace: z.string().optional(),
});
const detail = database.extend({
  num_tables: z.number(),
  file_size: z.number(),
  read_replication: z.strictObject({ mode: z.string() }),
});
const meta = z.record(z.string(), z.unknown());
const resultOf = (results: z.ZodType) =>
  z.array(z.strictObject({ results, success: z.literal(true), meta }));
const rows = resultOf(z.array(z.record(z.string(), z.unknown())));
const cells = resultOf(
  z.strictObject({ columns: z.array(z.string()), rows: z.array(z.array(z.unknown())) }),
);
const bookmark = z.strictObject({ bookmark: z.string() });

export function ofD1(account: string): Record<string, Operation> {
  const all = `${account}/d1/database`;
  const one = `${all}/:database`;
  const file = "/d1-files/:database/:token";
  const update: Operation = { does: "Takes the mode of replication", body: change, result: detail };
  return {
    [`GET ${all}`]: {
      does: "D1 databases",
      query: { name: "Of this name", dispatch_namespace: "Ours: of this dispatch namespace" },
      result: database,
      list: true,
    },
    [`POST ${all}`]: {
      does: "Makes a D1 database",
      query: { dispatch_namespace: "Ours: of this dispatch namespace" },
      body: creation,
      result: database,
    },
    [`GET ${one}`]: {
      does: "One D1 database, by id or name",
      query: { fields: "Only these, comma separated" },
      result: detail,
    },
    [`PUT ${one}`]: update,
    [`PATCH ${one}`]: update,
    [`DELETE ${one}`]: {
      does: "Deletes a D1 database with all that is in it",
      result: answer.nothing,
    },
    [`POST ${one}/query`]: { does: "Runs statements in one transaction", body, result: rows },
    [`POST ${one}/raw`]: { does: "The same, with rows as lists", body, result: cells },
    [`POST ${one}/import`]: {
      does: "Runs a file of SQL: `init`, an upload, `ingest`, then `poll`",
      body: importing,
      result: z.record(z.string(), z.unknown()),
    },
    [`POST ${one}/export`]: {
      does: "Writes the database as SQL, to be fetched from `signed_url`",
      body: exporting,
      result: z.record(z.string(), z.unknown()),
    },
    [`GET ${one}/time_travel/bookmark`]: {
      does: "The bookmark of the present, or of an earlier time",
      query: { timestamp: "Such as 2026-11-23T10:00:00Z" },
      result: bookmark,
    },
    [`POST ${one}/time_travel/restore`]: {
      does: "Makes the database what it was at a bookmark or time",
      query: { bookmark: "One of these", timestamp: "Or a time" },
      result: bookmark.extend({ previous_bookmark: z.string(), message: z.string() }),
    },
    [`PUT ${file}`]: {
      does: "Sends a file to import; the URL is the credential",
      contentType: "application/sql",
      ours: true,
    },
    [`GET ${file}`]: {
      does: "Fetches an export; the URL is the credential",
      contentType: "application/sql",
      ours: true,
    },
  };
}
