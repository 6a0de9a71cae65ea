/**
 * `…/workers/durable_objects/namespaces`: the classes of Durable Objects that Workers have, and the objects of each. They come
 * and go with uploads (upload/classes.ts).
 */
import type { ObjectClassRecord } from "../registry/object-classes.ts";
import { deleteObject, listObjects } from "../registry/supervisor.ts";
import { mayTouch } from "./auth.ts";
import { accountId, param, registry, type ApiContext } from "./context.ts";
import { ok, pageOf, partOf } from "./envelope.ts";
import { ApiError } from "./errors.ts";

const PAGE_SIZE = 20;
const MAX_PAGE_SIZE = 1_000;
/** Of objects, as on Cloudflare. */
const OBJECTS = { fewest: 10, usual: 1_000, most: 10_000 } as const;
const OBJECT_ID = /^[0-9a-f]{64}$/;

export async function listObjectNamespaces(c: ApiContext): Promise<Response> {
  const part = partOf(c, PAGE_SIZE, MAX_PAGE_SIZE);
  const { number, size } = part;
  const all = await seenClasses(c);
  const items = all.slice((number - 1) * size, number * size);
  return pageOf(c, part, items.map(toJson), all.length);
}

export async function getObjectNamespace(c: ApiContext): Promise<Response> {
  return ok(c, toJson(await requireClass(c)));
}

/** Those that have stored something. `?cursor=` goes on after the last one of a list. */
export async function listObjectsOfNamespace(c: ApiContext): Promise<Response> {
  const found = await requireClass(c);
  const limit = readLimit(c.req.query("limit"));
  const after = c.req.query("cursor") ?? "";
  if (after !== "" && !OBJECT_ID.test(after)) {
    throw new ApiError("invalid", "cursor: this is none that a list of objects has given.");
  }
  const listed = await listObjects(c.env.SUPERVISOR, found, after, limit);
  if (!listed.ok) {
    throw new ApiError("unavailable", `The objects cannot be listed now: ${listed.failure}`);
  }
  const { ids, isTruncated } = listed.value;
  const cursor = isTruncated ? ids.at(-1) : undefined;
  return c.json({
    success: true,
    errors: [],
    messages: [],
    result: ids.map((id) => ({ id, hasStoredData: true })),
    result_info: {
      count: ids.length,
      per_page: limit,
      ...(cursor !== undefined && { cursor, cursors: { after: cursor } }),
    },
  });
}

/** Ours: the object ends, with all that it has stored and its alarm. One that is not there is no error. */
export async function deleteObjectOfNamespace(c: ApiContext): Promise<Response> {
  const found = await requireClass(c);
  const id = param(c, "object");
  if (!OBJECT_ID.test(id)) {
    throw new ApiError("invalid", `'${id}' is no id of an object: expected 64 hex digits.`);
  }
  const deleted = await deleteObject(c.env.SUPERVISOR, found, id);
  if (deleted.ok) return ok(c, null);
  throw new ApiError("unavailable", `The object cannot be deleted now: ${deleted.failure}`);
}

function readLimit(text: string | undefined): number {
  if (text === undefined) return OBJECTS.usual;
  const limit = Number(text);
  if (Number.isInteger(limit) && limit > 0) {
    return Math.min(Math.max(limit, OBJECTS.fewest), OBJECTS.most);
  }
  throw new ApiError(
    "invalid",
    `limit: expected a whole number from ${OBJECTS.fewest} to ${OBJECTS.most}.`,
  );
}

async function requireClass(c: ApiContext): Promise<ObjectClassRecord> {
  const id = param(c, "id");
  const found = (await seenClasses(c)).find(({ key }) => key === id);
  if (found !== undefined) return found;
  throw new ApiError(
    "objectsNotFound",
    `There is no Durable Object namespace '${id}' that this token may see.`,
  );
}

async function seenClasses(c: ApiContext): Promise<ObjectClassRecord[]> {
  const all = await registry(c).objectClasses(accountId(c));
  return all.filter(({ namespace }) => mayTouch(c, namespace));
}

/** `dispatch_namespace` is ours. */
function toJson({ key, script, className, useSqlite, namespace, kind }: ObjectClassRecord) {
  return {
    id: key,
    name: `${script}_${className}`,
    script,
    class: className,
    use_sqlite: useSqlite,
    ...(kind === "dispatch" && { dispatch_namespace: namespace }),
  };
}
