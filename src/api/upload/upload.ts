/** A whole upload, from request to validated data. Nothing here touches the registry. */
import type { Code } from "../../registry/blobs.ts";
import type { ScriptSettings, VersionSettings } from "../../registry/records.ts";
import { parseAssets, type AssetsUpload } from "../assets/config.ts";
import { ApiError } from "../errors.ts";
import { parseBindings, refuseHiddenEnv, type ClearBinding } from "./binding.ts";
import { checkFeeds, type Feed } from "./change-feeds.ts";
import { parseClasses, type ClassChange } from "./classes.ts";
import { objectInForm } from "./form-object.ts";
import { MAX_UPLOAD_BYTES, parseForm, readBody } from "./form.ts";
import { parseMetadata, scriptSettings, versionSettings, type Metadata } from "./metadata.ts";
import { assembleCode, checkPartBindings, readModules } from "./modules.ts";

export interface Upload {
  readonly code: Code;
  readonly bindings: readonly ClearBinding[];
  /** Types of bindings to keep from the version before. */
  readonly keepTypes: readonly string[];
  readonly settings: VersionSettings;
  readonly scriptSettings: Partial<ScriptSettings>;
  readonly annotations: Readonly<Record<string, string>>;
  /** null: none. */
  readonly assets: AssetsUpload | null;
  /** Of classes of Durable Objects; absent: they stay as they are. */
  readonly classes?: ClassChange;
  /** All feeds of changes; absent: they stay as they are. */
  readonly changes?: readonly Feed[];
  /** There are no modules: `code` answers that nothing is found. */
  readonly isAssetsOnly: boolean;
}

/** What Cloudflare runs a Worker with that names no date: the day on which dates were introduced. */
const DEFAULT_COMPATIBILITY_DATE = "2021-11-02";

/** Name of the only part of a body that is no form. */
const RAW_BODY_PART = "worker.js";

export async function readUpload(request: Request, now: Date): Promise<Upload> {
  const { metadata, code, isAssetsOnly } = await readCode(request);
  const assets = parseAssets(metadata.assets, metadata.keep_assets, "metadata.assets");
  const bindings = parseBindings(metadata.bindings ?? [], "metadata.bindings");
  if (metadata.changes) checkFeeds(metadata.changes, bindings, "metadata.changes");
  const classes = parseClasses(metadata.migrations, metadata.exports, "metadata");
  if (assets === null) refuseAssetsBinding(bindings);
  checkPartBindings(code, bindings);
  refuseHiddenEnv(bindings, metadata.compatibility_flags ?? []);
  return {
    code,
    bindings,
    keepTypes: metadata.keep_bindings ?? [],
    settings: {
      compatibilityDate: DEFAULT_COMPATIBILITY_DATE,
      compatibilityFlags: [],
      limits: null,
      placement: null,
      ...versionSettings(metadata, now),
    },
    scriptSettings: { logpush: false, observability: null, ...scriptSettings(metadata) },
    annotations: metadata.annotations ?? {},
    assets,
    isAssetsOnly,
    ...(classes && { classes }),
    ...(metadata.changes && { changes: metadata.changes }),
  };
}

function refuseAssetsBinding(bindings: readonly ClearBinding[]): void {
  const binding = bindings.find(({ type }) => type === "assets");
  if (!binding) return;
  throw new ApiError(
    "invalid",
    `binding ${binding.name} of type assets needs static assets: the metadata has neither assets nor keep_assets.`,
  );
}

/** The modules and the metadata that came with them; a script that is no form has none. */
export async function readCode(
  request: Request,
): Promise<{ metadata: Metadata; code: Code; isAssetsOnly: boolean }> {
  const body = await readBody(request, MAX_UPLOAD_BYTES);
  const form = await parseForm(body, request.headers.get("content-type"));
  if (!form) {
    const script = { name: RAW_BODY_PART, type: "cjs", content: body } as const;
    const entry = { mainModule: undefined, bodyPart: RAW_BODY_PART };
    const code = await assembleCode([script], entry);
    return { metadata: parseMetadata({}, "metadata"), code, isAssetsOnly: false };
  }
  const raw = await objectInForm(form, "metadata");
  if (raw === undefined && !namesEntry(request)) {
    throw new ApiError("badBody", "Could not parse request body: the form has no part 'metadata'.");
  }
  const metadata = parseMetadata(raw ?? {}, "metadata");
  const modules = await readModules(form);
  const entry = {
    mainModule: metadata.main_module ?? request.headers.get(MAIN_HEADER) ?? undefined,
    bodyPart: metadata.body_part ?? request.headers.get(BODY_HEADER) ?? undefined,
  };
  const hasAssets = metadata.assets !== undefined || metadata.keep_assets !== undefined;
  const isAssetsOnly = hasAssets && !entry.mainModule && !entry.bodyPart && modules.length === 0;
  if (isAssetsOnly) return { metadata, code: NO_CODE, isAssetsOnly };
  return { metadata, code: await assembleCode(modules, entry), isAssetsOnly };
}

/** Of a version that has assets only: what a caller finds that asks the Worker itself. */
const NO_CODE: Code = {
  syntax: "modules",
  mainModule: "assets-only.js",
  modules: [
    {
      name: "assets-only.js",
      type: "esm",
      content: new TextEncoder().encode(
        "export default { fetch: () => new Response(null, { status: 404 }) };\n",
      ),
    },
  ],
};

/** Alternatives to metadata when only the content is replaced. */
const MAIN_HEADER = "cf-worker-main-module-part";
const BODY_HEADER = "cf-worker-body-part";

function namesEntry({ headers }: Request): boolean {
  return headers.has(MAIN_HEADER) || headers.has(BODY_HEADER);
}
