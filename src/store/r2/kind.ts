/**
 * R2 as a kind of the store. Beside the runtime's protocol the API asks:
 *   GET  /r2/{id}/usage                                    -> BucketUsage
 *   GET  /r2/{id}/uploads?prefix=&key=&upload=&limit=      -> UploadSummary[], those after `key` and `upload`
 *   GET  /r2/{id}/parts?key=&upload=&after=&limit=         -> parts of an upload
 *   GET  /r2/{id}/changes?after=&limit=                    -> WrittenChange[]
 *   POST /r2/{id}/changes/trim?upTo=                       -> 204
 */
import type { WrittenChange } from "../../protocol/changes.ts";
import type { StoreConfig } from "../../protocol/store.ts";
import type { StoreEnv } from "../env.ts";
import type { Kind } from "../kinds.ts";
import { bindR2, bucketOf } from "./bind.ts";
import { failed, type R2Outcome } from "./failure.ts";

export const r2: Kind = {
  bind: bindR2,
  administer,
  async configure(config, id, env) {
    const bucket = bucketOf(env, id);
    if (config === null) await bucket.destroy();
    else await bucket.configure(config as StoreConfig);
  },
};

async function administer(request: Request, id: string, env: StoreEnv): Promise<Response> {
  const { pathname, searchParams } = new URL(request.url);
  const call = `${request.method} ${pathname.split("/").slice(3).join("/")}`;
  const text = (name: string) => searchParams.get(name) ?? "";
  const number = (name: string) => Number(text(name));
  const bucket = bucketOf(env, id);
  switch (call) {
    case "GET usage":
      return Response.json(await bucket.usage());
    case "GET uploads":
      return answer(
        await bucket.listUploads(
          text("prefix"),
          { key: text("key"), id: text("upload") },
          number("limit"),
        ),
      );
    case "GET parts":
      return answer(
        await bucket.listParts(text("key"), text("upload"), number("after"), number("limit")),
      );
    case "GET changes": {
      // The types of stubs take no message of any shape.
      const changes: Promise<WrittenChange[]> = bucket.changes(number("after"), number("limit"));
      return Response.json(await changes);
    }
    case "POST changes/trim":
      await bucket.trim(number("upTo"));
      return new Response(null, { status: 204 });
    default:
      return new Response(`no such call: ${call}`, { status: 404 });
  }
}

function answer(outcome: R2Outcome<unknown>): Response {
  return "failure" in outcome ? failed(outcome.failure) : Response.json(outcome.value);
}
