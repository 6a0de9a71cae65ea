/**
 * The `metadata` of an upload and the `settings` of a script: the same object in Cloudflare's API.
 * Unknown keys are ignored, as Cloudflare does; known ones that would change what the script does and
 * are not supported here are refused by name.
 */
import * as z from "zod";
import type { ScriptSettings, VersionSettings } from "../../registry/records.ts";
import { annotations } from "../annotations.ts";
import { ApiError } from "../errors.ts";
import { validate } from "../json-body.ts";
import { refuseBadTags } from "../tag-rules.ts";
import {
  MAX_TAIL_CONSUMERS,
  observability,
  tailConsumer,
  unsupported as unsupportedObservability,
} from "./observability.ts";
import { feeds } from "./change-feeds.ts";
import { checkCompatibilityDate } from "./compatibility-date.ts";

/** In the SDK's dialect every leaf is a string. */
const flag = z.union([z.boolean(), z.enum(["true", "false"]).transform((text) => text === "true")]);
const amount = z.union([
  z.number(),
  z
    .string()
    .regex(/^\d+(?:\.\d+)?$/)
    .transform(Number),
]);

export const schema = z.object({
  main_module: z.string().optional(),
  body_part: z.string().optional(),
  bindings: z.array(z.unknown()).optional(),
  keep_bindings: z.array(z.string()).optional(),
  compatibility_date: z.string().nullish(),
  compatibility_flags: z.array(z.string()).optional(),
  limits: z.object({ cpu_ms: amount.optional(), subrequests: amount.optional() }).nullish(),
  placement: z.record(z.string(), z.unknown()).nullish(),
  tags: z.array(z.string()).nullish(),
  logpush: flag.nullish(),
  observability: observability.nullish(),
  tail_consumers: z.array(tailConsumer).max(MAX_TAIL_CONSUMERS).nullish(),
  annotations: annotations.optional(),
  assets: z.unknown().optional(),
  keep_assets: z.unknown().optional(),

  /** Ours: what the script is called with when what it is bound to changes. */
  changes: feeds.optional(),

  migrations: z.unknown().optional(),
  exports: z.unknown().optional(),

  // Only to be refused.
  containers: z.unknown().optional(),
  streaming_tail_consumers: z.unknown().optional(),
  cache_options: z.unknown().optional(),
  capnp_schema: z.unknown().optional(),
});

export type Metadata = z.output<typeof schema>;

const NOT_SUPPORTED: readonly (readonly [keyof Metadata, string])[] = [
  ["containers", "containers are"],
  ["streaming_tail_consumers", "streaming tail consumers are"],
  ["logpush", "Logpush is"],
  ["cache_options", "the cache in front of a Worker is"],
  ["capnp_schema", "Cap'n Proto schemas are"],
];

export function parseMetadata(raw: unknown, root: "metadata" | "settings"): Metadata {
  const metadata = validate(schema, raw, root, "invalid");
  if (root === "settings") {
    refuseAssets(metadata, root);
    refuseClasses(metadata, root);
  }
  // All at once, so that nobody has to find them out one deploy after another.
  const unsupported = [
    ...NOT_SUPPORTED.filter(([key]) => asksForSomething(metadata[key])),
    ...unsupportedObservability(metadata.observability ?? {}),
  ];
  const refused = unsupported.map(
    ([key, what]) => `${root}.${key}: ${what} not supported by this platform.`,
  );
  // A hint where to run is moot on one machine; a fixed place would be a promise.
  const { mode, ...where } = metadata.placement ?? {};
  if ((mode !== undefined && mode !== "smart") || asksForSomething({ ...where, hint: null })) {
    refused.push(
      `${root}.placement: only mode "smart" is accepted, and has no effect here; a fixed region or host is not supported by this platform.`,
    );
  }
  if (refused.length > 0) throw new ApiError("invalid", refused);
  if (metadata.tags) refuseBadTags(metadata.tags);
  return metadata;
}

/** Where only an upload of the whole script may change them. */
export function refuseAssets({ assets, keep_assets: keeps }: Metadata, root: string): void {
  if (!asksForSomething(assets) && !asksForSomething(keeps)) return;
  throw new ApiError(
    "invalid",
    `${root}.assets: static assets come with an upload of the script, and stay as they are without one.`,
  );
}

/** Likewise. */
function refuseClasses({ migrations, exports }: Metadata, root: string): void {
  const [given] = Object.entries({ migrations, exports }).filter(([, value]) =>
    asksForSomething(value),
  );
  if (given === undefined) return;
  throw new ApiError(
    "invalid",
    `${root}.${given[0]}: classes of Durable Objects change with an upload of the script only.`,
  );
}

/** Clients also send what they do not use: null, false, `[]`, `{}`, `{enabled: false}`. */
function asksForSomething(value: unknown): boolean {
  if (value === undefined || value === null || value === false || value === "false") return false;
  if (Array.isArray(value)) return value.length > 0;
  if (typeof value === "object") return Object.values(value).some(asksForSomething);
  return true;
}

/** What of the metadata a version keeps; absent members are absent. */
export function versionSettings(metadata: Metadata, now: Date): Partial<VersionSettings> {
  const { compatibility_date: date, compatibility_flags: flags, limits, placement } = metadata;
  return {
    ...(date && { compatibilityDate: checkCompatibilityDate(date, now) }),
    ...(flags && { compatibilityFlags: flags }),
    ...(limits !== undefined && { limits: limits && definedOnly(limits) }),
    ...(placement !== undefined && {
      placement: placement?.["mode"] === "smart" ? { mode: "smart" } : null,
    }),
  };
}

/** What of the metadata belongs to the script itself; absent members are absent. */
export function scriptSettings(metadata: Metadata): Partial<ScriptSettings> {
  const { tags, logpush, observability, tail_consumers: consumers } = metadata;
  return {
    ...(tags !== undefined && { tags: [...new Set(tags ?? [])] }),
    ...(typeof logpush === "boolean" && { logpush }),
    ...(observability !== undefined && { observability }),
    ...(consumers !== undefined && {
      tailConsumers: [...new Set((consumers ?? []).map(({ service }) => service))],
    }),
  };
}

function definedOnly(limits: Record<string, number | undefined>): Record<string, number> {
  const entries = Object.entries(limits).filter(
    (entry): entry is [string, number] => entry[1] !== undefined,
  );
  return Object.fromEntries(entries);
}
