/**
 * `…/scripts/{script}/changes`: what a function is called with when what it is bound to changes: rows of a D1 database, keys
 * of a KV namespace, objects of an R2 bucket. Ours, not Cloudflare's. A feed names a binding of the function, so nobody
 * follows what he may not reach. Its `queue` handler gets the changes, in order.
 */
import * as z from "zod";
import type { FollowerState } from "../protocol/changes.ts";
import type { ChangeFeedRecord, NewChangeFeed } from "../registry/change-feeds.ts";
import type { ScriptRecord, StorageBinding } from "../registry/records.ts";
import { accountId, namespaceOf, param, registry, scriptOf, type ApiContext } from "./context.ts";
import { ok, page } from "./envelope.ts";
import { ApiError } from "./errors.ts";
import { unwrap } from "./failures.ts";
import { jsonBody } from "./json-body.ts";
import { settleStore } from "./resources.ts";
import { checkFeed, feed, feeds, type Feed } from "./upload/change-feeds.ts";
import { iso } from "./user.ts";

/** Whatever fails holds up what comes after it, so it is tried for as long as the queue keeps it. */
const ENDLESS_RETRIES = 1_000_000;

export const body = z.strictObject({ changes: feeds });
export const position = z.strictObject({ position: z.int().min(0) });

export async function listChangeFeeds(c: ApiContext): Promise<Response> {
  const { id } = await scriptOf(c);
  const found = await registry(c).changeFeeds(id);
  return page(c, found.map(toJson));
}

export async function createChangeFeed(c: ApiContext): Promise<Response> {
  const given = await jsonBody(c, feed);
  const wanted = await readFeed(c, await scriptOf(c), given, "body");
  const made = unwrap(await registry(c).addChangeFeed(wanted));
  await settleStore(c);
  return ok(c, toJson(made));
}

/** All of them anew: those that are as they were go on where they are. */
export async function putChangeFeeds(c: ApiContext): Promise<Response> {
  const { changes } = await jsonBody(c, body);
  return page(c, (await replaceFeeds(c, changes, "changes")).map(toJson));
}

/** Of the script of the path, as it is now. */
export async function replaceFeeds(
  c: ApiContext,
  given: readonly Feed[],
  where: string,
): Promise<ChangeFeedRecord[]> {
  const script = await scriptOf(c);
  const wanted: NewChangeFeed[] = [];
  for (const [index, each] of given.entries()) {
    wanted.push(await readFeed(c, script, each, `${where}[${index}]`));
  }
  const { id } = script;
  const before = new Map((await registry(c).changeFeeds(id)).map((old) => [identity(old), old]));
  const added = wanted.filter((each) => !before.delete(identity(each)));
  for (const old of before.values()) unwrap(await registry(c).removeChangeFeed(id, old.id));
  for (const each of added) unwrap(await registry(c).addChangeFeed(each));
  await settleStore(c);
  return registry(c).changeFeeds(id);
}

/** With how far it has got. */
export async function getChangeFeed(c: ApiContext): Promise<Response> {
  const found = await feedOf(c);
  const response = await c.env.STORE.fetch(followerUrl(found));
  const state = response.ok ? await response.json<FollowerState>() : { position: 0, waiting: 0 };
  return ok(c, { ...toJson(found), ...state });
}

export async function deleteChangeFeed(c: ApiContext): Promise<Response> {
  const { id } = await scriptOf(c);
  unwrap(await registry(c).removeChangeFeed(id, param(c, "feed")));
  await settleStore(c);
  return ok(c, null);
}

/** What waits is dropped; what changed after this position comes, again or for the first time. */
export async function putPosition(c: ApiContext): Promise<Response> {
  const given = await jsonBody(c, position);
  const found = await feedOf(c);
  const response = await c.env.STORE.fetch(followerUrl(found), {
    method: "PUT",
    body: JSON.stringify(given),
  });
  await response.body?.cancel();
  if (!response.ok) {
    throw new ApiError("unavailable", `The store has not set the position: ${response.status}.`);
  }
  return ok(c, { ...toJson(found), ...given, waiting: 0 });
}

async function feedOf(c: ApiContext): Promise<ChangeFeedRecord> {
  const { id } = await scriptOf(c);
  return unwrap(await registry(c).changeFeed(id, param(c, "feed")));
}

function followerUrl({ kind, resourceId, queueId }: ChangeFeedRecord): string {
  return `http://store/${kind}/${resourceId}/followers/${queueId}`;
}

/** @param where For messages. */
async function readFeed(
  c: ApiContext,
  script: ScriptRecord,
  given: Feed,
  where: string,
): Promise<NewChangeFeed> {
  const bound = script.version.bindings.find(({ name }) => name === given.binding);
  const { kind, rules } = checkFeed(given, bound, where);
  const namespace = await namespaceOf(c);
  return {
    accountId: accountId(c),
    namespaceId: namespace.kind === "account" ? null : namespace.id,
    scriptId: script.id,
    kind,
    resourceId: (bound as StorageBinding).resourceId,
    binding: given.binding,
    rules,
    settings: {
      batchSize: given.batch_size,
      maxWaitMs: given.max_wait_ms,
      maxRetries: given.max_retries ?? ENDLESS_RETRIES,
      retryDelaySeconds: given.retry_delay,
    },
    deadLetterQueue: given.dead_letter_queue ?? null,
  };
}

/** What makes two feeds of a function the same. */
function identity(record: ChangeFeedRecord | NewChangeFeed): string {
  const { kind, resourceId, rules, settings, deadLetterQueue } = record;
  return JSON.stringify([kind, resourceId, rules, settings, deadLetterQueue]);
}

function toJson(record: ChangeFeedRecord) {
  const { settings, rules } = record;
  return {
    id: record.id,
    binding: record.binding,
    kind: record.kind,
    resource_id: record.resourceId,
    ...rules,
    batch_size: settings.batchSize,
    max_wait_ms: settings.maxWaitMs,
    ...(settings.maxRetries !== ENDLESS_RETRIES && { max_retries: settings.maxRetries }),
    ...(settings.retryDelaySeconds !== undefined && { retry_delay: settings.retryDelaySeconds }),
    ...(record.deadLetterQueue !== null && { dead_letter_queue: record.deadLetterQueue }),
    created_on: iso(record.createdOn),
  };
}
