/**
 * What the API asks of a database beyond the binding's protocol, below `/admin`. Bodies and answers are JSON; what the database
 * refuses is answered with 400 and `{error}`.
 *
 *   POST /admin/query            {queries: [{sql, params?}]} -> [{columns, rows, meta}] for each statement
 *   GET  /admin/info             -> DatabaseInfo
 *   POST /admin/import/init      {etag} -> {filename, token} of the file that is to be sent, or the ImportState if it was imported
 *   PUT  /admin/upload/{token}   the file -> {etag}; 404: nobody waits for it
 *   POST /admin/import/ingest    {filename, etag} -> ImportState; runs until it is over, or IMPORT_WAIT_MS have passed
 *   POST /admin/import/poll      -> ImportState
 *   POST /admin/export           DumpOptions -> {filename, token, bookmark}
 *   GET  /admin/download/{token} the file; 404: there is none any more
 *   GET  /admin/bookmark         ?timestamp= (Unix ms) -> {bookmark}; without it the present state becomes one
 *   POST /admin/restore          {bookmark} or {timestampMs} -> {bookmark, previousBookmark}
 *   POST /admin/quota/release    {epoch} -> Released (quota.ts)
 *   GET  /admin/changes          ?after=&limit= -> {changes, last}
 *   POST /admin/changes/trim     {upTo} -> {}
 */
import type { Change } from "./changes.ts";
import type { DumpOptions } from "./dump.ts";
import { QuotaError, type Released } from "../quota.ts";
import type { Imported } from "./import.ts";
import { splitStatements } from "./statements.ts";
import { Refused, type Query, type Result } from "./query.ts";

export interface DatabaseInfo {
  readonly bytes: number;
  readonly tables: number;
}

export type ImportState =
  | { readonly status: "none" }
  | { readonly status: "active"; readonly bookmark: string }
  | { readonly status: "error"; readonly error: string }
  | ({
      readonly status: "complete";
      readonly bookmark: string;
      readonly durationMs: number;
      readonly bytes: number;
    } & Imported);

export interface Administered {
  query(queries: readonly Query[]): Promise<Result[]>;
  info(): DatabaseInfo;
  startUpload(etag: string): Promise<{ filename: string; token: string }>;
  upload(token: string, body: ReadableStream | null): Promise<{ etag: string } | null>;
  ingest(filename: string, etag: string): Promise<ImportState>;
  importState(): Promise<ImportState>;
  exportFile(options: DumpOptions): Promise<{ filename: string; token: string; bookmark: string }>;
  download(token: string): Promise<ReadableStream | null>;
  bookmarkAt(timestampMs: number | null): Promise<string>;
  restore(bookmark: string): Promise<{ bookmark: string; previousBookmark: string }>;
  releaseQuota(epoch: number): Released;
  changes(after: number, limit: number): { changes: Change[]; last: number };
  trim(upTo: number): void;
}

export async function administer(database: Administered, request: Request): Promise<Response> {
  const { pathname, searchParams } = new URL(request.url);
  const [, , first = "", second = ""] = pathname.split("/");
  const body = <T>() => request.json<T>();
  try {
    switch (`${request.method} ${first}/${second}`) {
      case "POST query/":
        return Response.json(
          await database.query((await body<{ queries: Query[] }>()).queries.flatMap(each)),
        );
      case "GET info/":
        return Response.json(database.info());
      case "POST import/init":
        return Response.json(await database.startUpload((await body<{ etag: string }>()).etag));
      case "POST import/ingest": {
        const { filename, etag } = await body<{ filename: string; etag: string }>();
        return Response.json(await database.ingest(filename, etag));
      }
      case "POST import/poll":
        return Response.json(await database.importState());
      case "POST export/":
        return Response.json(await database.exportFile(await body<DumpOptions>()));
      case "GET bookmark/": {
        const timestamp = searchParams.get("timestamp");
        const bookmark = await database.bookmarkAt(timestamp === null ? null : Number(timestamp));
        return Response.json({ bookmark });
      }
      case "POST restore/":
        return Response.json(await database.restore((await body<{ bookmark: string }>()).bookmark));
      case "POST quota/release":
        return Response.json(database.releaseQuota((await body<{ epoch: number }>()).epoch));
      case "GET changes/": {
        const [after, limit] = ["after", "limit"].map((name) => Number(searchParams.get(name)));
        return Response.json(database.changes(after ?? 0, limit ?? 0));
      }
      case "POST changes/trim":
        database.trim((await body<{ upTo: number }>()).upTo);
        return Response.json({});
    }
    if (request.method === "PUT" && first === "upload") {
      const uploaded = await database.upload(second, request.body);
      return uploaded === null ? notThere() : Response.json(uploaded);
    }
    if (request.method === "GET" && first === "download") {
      const file = await database.download(second);
      return file === null ? notThere() : new Response(file);
    }
    return Response.json({ error: `no such call: ${request.method} ${pathname}` }, { status: 404 });
  } catch (error) {
    const isRefused = error instanceof Refused || error instanceof QuotaError;
    const isKnown = isRefused || (error as Error).message.includes("SQLITE_");
    return Response.json({ error: (error as Error).message }, { status: isKnown ? 400 : 500 });
  }
}

/** A text may have several statements, as long as they have no parameters. */
function each({ sql, params }: Query): Query[] {
  const statements = splitStatements(sql);
  if (statements.length <= 1) return [{ sql, params: params ?? null }];
  if (params && params.length > 0) {
    throw new Refused("parameters can be given for one statement only: send a batch");
  }
  return statements.map((statement) => ({ sql: statement }));
}

function notThere(): Response {
  return new Response(null, { status: 404 });
}
