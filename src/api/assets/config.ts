/** `assets` and `keep_assets` of an upload's metadata. */
import * as z from "zod";
import type { HeaderRule, RedirectRule } from "../../protocol/assets.ts";
import { ApiError } from "../errors.ts";
import { validate } from "../json-body.ts";
import { parseHeaders } from "./headers.ts";
import { parseRedirects } from "./redirects.ts";

/** In the SDK's dialect every leaf is a string. */
const flag = z.union([z.boolean(), z.enum(["true", "false"]).transform((text) => text === "true")]);

const schema = z.object({
  jwt: z.string().optional(),
  config: z
    .object({
      html_handling: z
        .enum(["auto-trailing-slash", "force-trailing-slash", "drop-trailing-slash", "none"])
        .optional(),
      not_found_handling: z.enum(["single-page-application", "404-page", "none"]).optional(),
      run_worker_first: z.union([flag, z.array(z.string())]).optional(),
      serve_directly: flag.optional(),
      base_path: z.string().optional(),
      _redirects: z.string().optional(),
      _headers: z.string().optional(),
    })
    .nullish(),
});

export interface AssetsConfig {
  readonly htmlHandling: string;
  readonly notFoundHandling: string;
  readonly runWorkerFirst: boolean | readonly string[];
  readonly redirects: readonly RedirectRule[];
  readonly headers: readonly HeaderRule[];
}

export interface AssetsUpload {
  /** Of a finished upload session; undefined: the assets of the version before are kept. */
  readonly jwt: string | undefined;
  /** null: that of the version before is kept, if its assets are. */
  readonly config: AssetsConfig | null;
}

/** null: the version has no assets. */
export function parseAssets(raw: unknown, keepAssets: unknown, root: string): AssetsUpload | null {
  const keeps = keepAssets === true || keepAssets === "true";
  if (raw === undefined || raw === null) return keeps ? { jwt: undefined, config: null } : null;
  const { jwt, config } = validate(schema, raw, root, "invalid");
  if (jwt === undefined && !keeps) {
    throw new ApiError(
      "invalid",
      `${root}.jwt is missing: upload the assets first, or set keep_assets to keep those of the version before.`,
    );
  }
  return { jwt, config: config ? toConfig(config, `${root}.config`) : null };
}

export const DEFAULT_CONFIG: AssetsConfig = {
  htmlHandling: "auto-trailing-slash",
  notFoundHandling: "none",
  runWorkerFirst: false,
  redirects: [],
  headers: [],
};

function toConfig(
  config: NonNullable<z.output<typeof schema>["config"]>,
  root: string,
): AssetsConfig {
  const { base_path: basePath, serve_directly: servesDirectly } = config;
  if (basePath !== undefined && basePath !== "/") {
    throw new ApiError("invalid", `${root}.base_path: is not supported by this platform.`);
  }
  const { htmlHandling, notFoundHandling, runWorkerFirst } = DEFAULT_CONFIG;
  const html = config.html_handling ?? htmlHandling;
  const first = config.run_worker_first ?? (servesDirectly === false ? true : runWorkerFirst);
  return {
    htmlHandling: html,
    notFoundHandling: config.not_found_handling ?? notFoundHandling,
    runWorkerFirst: typeof first === "boolean" ? first : checkedPatterns(first, root),
    redirects: parseRedirects(config._redirects ?? "", html),
    headers: parseHeaders(config._headers ?? ""),
  };
}

const MAX_PATTERNS = 100;
const MAX_PATTERN_LENGTH = 100;

function checkedPatterns(patterns: readonly string[], root: string): readonly string[] {
  const refuse = (why: string) => new ApiError("invalid", `${root}.run_worker_first: ${why}`);
  if (patterns.length > MAX_PATTERNS) {
    throw refuse(`${patterns.length} patterns are more than the ${MAX_PATTERNS} allowed.`);
  }
  for (const pattern of patterns) {
    if (!/^!?\//.test(pattern)) throw refuse(`'${pattern}' begins neither with / nor with !/.`);
    if (pattern.length > MAX_PATTERN_LENGTH) {
      throw refuse(`'${pattern}' has more than ${MAX_PATTERN_LENGTH} characters.`);
    }
  }
  if (!patterns.some((pattern) => pattern.startsWith("/"))) {
    throw refuse("at least one pattern has to begin with /.");
  }
  return patterns;
}
