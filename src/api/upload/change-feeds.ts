/** What is asked of a feed of changes, in the metadata of an upload or by itself (src/api/changes.ts). */
import * as z from "zod";
import {
  CHANGE_ACTIONS,
  CHANGE_KINDS,
  type ChangeKind,
  type ChangeRules,
} from "../../protocol/changes.ts";
import { STORE_KINDS_OF } from "../../registry/bundle.ts";
import { MAX_FEEDS } from "../../registry/change-feeds.ts";
import { STORAGE_BINDING_TYPES, type StorageBinding } from "../../registry/records.ts";
import { ApiError } from "../errors.ts";

const MAX_NAMES = 100;

export const feed = z.strictObject({
  /** Of the function: kv_namespace, d1 or r2_bucket. */
  binding: z.string(),
  /** Some of the kind's; all by default. */
  actions: z.array(z.string()).min(1).max(MAX_NAMES).optional(),
  /** Of D1 databases; all by default. */
  tables: z.array(z.string()).min(1).max(MAX_NAMES).optional(),
  /** Of keys. */
  prefix: z.string().max(1024).optional(),
  suffix: z.string().max(1024).optional(),
  batch_size: z.int().min(1).max(100).default(10),
  max_wait_ms: z.int().min(0).max(60_000).default(1_000),
  /** By default it is tried for 14 days. */
  max_retries: z.int().min(0).max(100).optional(),
  retry_delay: z.int().min(0).max(86_400).optional(),
  dead_letter_queue: z.string().optional(),
});

export const feeds = z.array(feed).max(MAX_FEEDS);

export type Feed = z.output<typeof feed>;

export interface WantedFeed {
  readonly kind: ChangeKind;
  readonly rules: ChangeRules;
}

/**
 * @param bound The binding that it names.
 * @param where For messages.
 */
export function checkFeed(
  given: Feed,
  bound: { readonly type: string } | undefined,
  where: string,
): WantedFeed {
  const kind = bound && kindOf(bound.type);
  if (kind === undefined) {
    throw new ApiError(
      "invalid",
      `${where}.binding: '${given.binding}' is not a binding of the Worker to a KV namespace, a D1 database or an R2 bucket.`,
    );
  }
  return { kind, rules: rulesOf(kind, given, where) };
}

/** Before there is a Worker with these bindings. Inherited ones are known only then. */
export function checkFeeds(
  given: readonly Feed[],
  bindings: readonly { readonly type: string; readonly name: string }[],
  where: string,
): void {
  for (const [index, each] of given.entries()) {
    const bound = bindings.find(({ name }) => name === each.binding);
    if (bound?.type !== "inherit") checkFeed(each, bound, `${where}[${index}]`);
  }
}

function kindOf(type: string): ChangeKind | undefined {
  if (!(STORAGE_BINDING_TYPES as readonly string[]).includes(type)) return undefined;
  const kind = STORE_KINDS_OF[type as StorageBinding["type"]];
  return CHANGE_KINDS.find((known) => known === kind);
}

function rulesOf(kind: ChangeKind, given: Feed, where: string): ChangeRules {
  const known: readonly string[] = CHANGE_ACTIONS[kind];
  const { actions = known, tables, prefix, suffix } = given;
  const unknown = actions.find((action) => !known.includes(action));
  if (unknown !== undefined) {
    throw new ApiError(
      "invalid",
      `${where}.actions: '${unknown}' does not happen there; expected some of ${known.join(", ")}.`,
    );
  }
  const misplaced = kind === "d1" ? { prefix, suffix } : { tables };
  for (const [name, value] of Object.entries(misplaced)) {
    if (value === undefined) continue;
    const of = kind === "d1" ? "a D1 database has tables" : "only a D1 database has tables";
    throw new ApiError("invalid", `${where}.${name}: ${of}; leave it out.`);
  }
  return {
    actions,
    ...(tables !== undefined && { tables }),
    ...(prefix !== undefined && { prefix }),
    ...(suffix !== undefined && { suffix }),
  };
}
