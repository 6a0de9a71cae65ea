/**
 * `…/d1/database/{id}/import` and `/export`, as wrangler polls them. The files themselves come and go by URLs that need no token:
 * a path that nobody can guess, for an hour.
 */
import * as z from "zod";
import type { ImportState } from "../../store/d1/admin.ts";
import { param, registry, type ApiContext } from "../context.ts";
import { ok } from "../envelope.ts";
import { ApiError } from "../errors.ts";
import { jsonBody } from "../json-body.ts";
import { databaseOf } from "./databases.ts";
import { askDatabase } from "./store.ts";

const etag = z.string().regex(/^[0-9a-f]{32}$/, "must be the MD5 of the file, in hex");

export const importing = z.discriminatedUnion("action", [
  z.object({ action: z.literal("init"), etag }),
  z.object({ action: z.literal("ingest"), etag, filename: z.string() }),
  z.object({ action: z.literal("poll"), current_bookmark: z.string().nullish() }),
]);

export const exporting = z.object({
  output_format: z.literal("polling"),
  current_bookmark: z.string().nullish(),
  dump_options: z
    .object({
      no_schema: z.boolean().nullish(),
      no_data: z.boolean().nullish(),
      tables: z.array(z.string()).nullish(),
    })
    .nullish(),
});

interface OpenFile {
  readonly filename: string;
  readonly token: string;
}

export async function importFile(c: ApiContext): Promise<Response> {
  const asked = await jsonBody(c, importing);
  const { id } = await databaseOf(c);
  if (asked.action === "init") {
    const file = await askDatabase<OpenFile>(c, id, "POST", "import/init", { etag: asked.etag });
    return ok(c, { filename: file.filename, upload_url: urlOf(c, id, file) });
  }
  const { action, ...body } = asked;
  const state = await askDatabase<ImportState>(c, id, "POST", `import/${action}`, body);
  return ok(c, toImport(state));
}

function toImport(state: ImportState) {
  const same = { success: true, type: "import" as const, messages: [] };
  switch (state.status) {
    case "none":
      throw new ApiError("d1Error", "there is no import of this database: begin with 'init'");
    case "active":
      return { ...same, status: state.status, at_bookmark: state.bookmark };
    case "error":
      return {
        ...same,
        success: false,
        status: state.status,
        error: state.error,
        errors: [state.error],
      };
    case "complete":
      return {
        ...same,
        status: state.status,
        at_bookmark: state.bookmark,
        result: {
          num_queries: state.statements,
          final_bookmark: state.bookmark,
          meta: {
            served_by: "skep",
            duration: state.durationMs,
            rows_read: state.rowsRead,
            rows_written: state.rowsWritten,
            size_after: state.bytes,
            changed_db: true,
          },
        },
      };
  }
}

/** Complete at once: the answer comes when the file is there. */
export async function exportFile(c: ApiContext): Promise<Response> {
  const { dump_options: options } = await jsonBody(c, exporting);
  const { id } = await databaseOf(c);
  const file = await askDatabase<OpenFile & { bookmark: string }>(c, id, "POST", "export", {
    noSchema: options?.no_schema ?? false,
    noData: options?.no_data ?? false,
    tables: options?.tables ?? [],
  });
  return ok(c, {
    success: true,
    type: "export",
    status: "complete",
    at_bookmark: file.bookmark,
    messages: [],
    result: { filename: file.filename, signed_url: urlOf(c, id, file) },
  });
}

/** `PUT /d1-files/{database}/{token}`: no API token. */
export async function uploadFile(c: ApiContext): Promise<Response> {
  const response = await c.env.STORE.fetch(await fileUrl(c, "upload"), {
    method: "PUT",
    body: c.req.raw.body,
  });
  if (response.status === 404) throw noFile();
  if (response.status === 400) {
    throw new ApiError("d1Error", (await response.json<{ error: string }>()).error);
  }
  if (!response.ok)
    throw new Error(`the store answered ${response.status}: ${await response.text()}`);
  const { etag: received } = await response.json<{ etag: string }>();
  return new Response(null, { headers: { etag: `"${received}"` } });
}

/** `GET /d1-files/{database}/{token}`: no API token. */
export async function downloadFile(c: ApiContext): Promise<Response> {
  const response = await c.env.STORE.fetch(await fileUrl(c, "download"));
  if (response.ok)
    return new Response(response.body, { headers: { "content-type": "application/sql" } });
  await response.body?.cancel();
  if (response.status === 404) throw noFile();
  throw new Error(`the store answered ${response.status}`);
}

/** To ask the store for a database makes one: whoever comes without a token must not do that. */
async function fileUrl(c: ApiContext, action: "upload" | "download"): Promise<string> {
  const [database, token] = [param(c, "database"), param(c, "token")];
  const isPossible = /^[0-9a-f-]{36}$/.test(database) && /^[0-9a-f]{64}$/.test(token);
  if (!isPossible || !(await registry(c).hasResource("d1", database))) throw noFile();
  return `http://store/d1/${database}/${action}/${token}`;
}

function noFile(): ApiError {
  return new ApiError("d1FileNotFound", "There is no such file, or its hour is over.");
}

/** Where the client reached this API. */
function urlOf(c: ApiContext, id: string, { token }: OpenFile): string {
  return `${new URL(c.req.url).origin}/d1-files/${id}/${token}`;
}
