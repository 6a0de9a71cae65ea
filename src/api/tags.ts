/** `…/scripts/{script}/tags` */
import * as z from "zod";
import { namespaceOf, param, registry, scriptOf, type ApiContext } from "./context.ts";
import { ok, page } from "./envelope.ts";
import { unwrap } from "./failures.ts";
import { jsonBody } from "./json-body.ts";
import { MAX_TAGS, refuseBadTags } from "./tag-rules.ts";

export const list = z.array(z.string()).nullable();

export async function listTags(c: ApiContext): Promise<Response> {
  return page(c, (await scriptOf(c)).settings.tags);
}

/** Replaces all; null removes all. */
export async function putTags(c: ApiContext): Promise<Response> {
  const tags = (await jsonBody(c, list)) ?? [];
  refuseBadTags(tags);
  const { id } = await namespaceOf(c);
  const updated = unwrap(
    await registry(c).updateScript(id, param(c, "script"), { tags: [...new Set(tags)] }),
  );
  return page(c, updated.value.settings.tags);
}

export async function putTag(c: ApiContext): Promise<Response> {
  const tag = param(c, "tag");
  refuseBadTags([tag]);
  return ok(c, await editTags(c, { add: tag }));
}

/** Removing a tag that is not there is no error. */
export async function deleteTag(c: ApiContext): Promise<Response> {
  await editTags(c, { remove: param(c, "tag") });
  return ok(c, null);
}

async function editTags(c: ApiContext, edit: { add?: string; remove?: string }) {
  const { id } = await namespaceOf(c);
  return unwrap(await registry(c).editTags(id, param(c, "script"), { ...edit, max: MAX_TAGS }));
}
