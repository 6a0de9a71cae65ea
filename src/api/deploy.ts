/**
 * The way of a new version: hold and store the blob, try it, commit it, tell the edges. Up to the commit
 * nothing that serves has changed, so that every failure leaves the old version in place; after it the
 * version is in force, whatever happens to this request.
 */
import { makeEnv } from "../registry/bundle.ts";
import { packCode, storeBlob, type Code } from "../registry/blobs.ts";
import type {
  AssetsRecord,
  BindingChange,
  CodeRecord,
  NamespaceRecord,
  Release,
  ScriptRecord,
  ScriptSettings,
  UploadedBinding,
  VersionSettings,
} from "../registry/records.ts";
import { placeOf } from "../registry/seal.ts";
import { registry, sealer, settle, type ApiContext } from "./context.ts";
import { ApiError } from "./errors.ts";
import { unwrap } from "./failures.ts";
import { refuseBadTargets } from "./binding-targets.ts";
import { findStorage, isStorage } from "./resources.ts";
import type { ClearBinding } from "./upload/binding.ts";
import type { ClassChange } from "./upload/classes.ts";

interface Plan {
  readonly namespace: NamespaceRecord;
  readonly script: string;
  readonly bindings: BindingChange;
  /** All settings of the new version, under which it is tried. */
  readonly settings: VersionSettings;
  /** What of them is new; the rest is kept as it is when the version is stored. Left out: all. */
  readonly changed?: Partial<VersionSettings>;
  /** It is about the code alone: only where the newest version gets all traffic. */
  readonly keepsSettings?: true;
  readonly scriptSettings?: Partial<ScriptSettings>;
  readonly annotations?: Readonly<Record<string, string>>;
  /** False: the version is only uploaded. Absent: true. */
  readonly deploy?: boolean;
  /** null: none. Left out: those of the version before. */
  readonly assets?: AssetsRecord | null;
  /** Of classes of Durable Objects; left out: they stay as they are. */
  readonly classes?: ClassChange;
}

/** Deploys new code. */
export async function deployCode(c: ApiContext, plan: Plan, code: Code): Promise<ScriptRecord> {
  const versionId = crypto.randomUUID();
  const bindings = await previewBindings(c, plan);
  const packed = await packCode(code);
  await registry(c).holdBlob(versionId, packed.hash);
  try {
    await storeBlob(c.env.BLOBS, packed);
    const tried = await tryStart(c, plan, versionId, packed.hash, bindings);
    const { syntax, mainModule } = code;
    return await commit(c, { changed: plan.settings, ...plan }, versionId, {
      code: { blob: packed.hash, syntax, mainModule, ...tried },
    });
  } catch (error) {
    await registry(c).abandon(versionId);
    throw error;
  }
}

/** Deploys the code of `base` again under other settings or bindings. */
export async function redeploy(
  c: ApiContext,
  plan: Plan,
  base: Pick<ScriptRecord, "version">,
): Promise<ScriptRecord> {
  const versionId = crypto.randomUUID();
  const { code } = base.version;
  const bindings = await previewBindings(c, plan);
  const tried = await tryStart(c, plan, versionId, code.blob, bindings);
  return commit(c, { changed: plan.settings, ...plan }, versionId, {
    code: { ...code, ...tried },
    basedOnBlob: code.blob,
  });
}

/** Writes secrets by name, null removing them. The code has been tried; its secrets do not change that. */
export async function writeSecrets(
  c: ApiContext,
  namespace: NamespaceRecord,
  script: string,
  secrets: Readonly<Record<string, string | null>>,
  { deploy = true, annotations = {} }: Pick<Plan, "deploy" | "annotations"> = {},
): Promise<ScriptRecord> {
  const place = placeOf(namespace.id, script);
  const sealed = await Promise.all(
    Object.entries(secrets).map(async ([name, text]) => [
      name,
      text === null ? null : await sealer(c).seal(place, text),
    ]),
  );
  return commit(
    c,
    {
      namespace,
      script,
      bindings: { mode: "secrets", secrets: Object.fromEntries(sealed) as typeof secrets },
      annotations: { "workers/triggered_by": "secret", ...annotations },
      deploy,
    },
    crypto.randomUUID(),
    { code: null },
  );
}

/** Uploaded bindings as they may be stored: secrets sealed for this script. */
export async function sealBindings(
  c: ApiContext,
  namespace: NamespaceRecord,
  script: string,
  bindings: readonly ClearBinding[],
): Promise<UploadedBinding[]> {
  const place = placeOf(namespace.id, script);
  await refuseBadTargets(c, namespace, script, bindings);
  return Promise.all(
    bindings.map(async (binding) => {
      if (isStorage(binding)) return findStorage(c, namespace, binding);
      if (binding.type !== "secret_text") return binding;
      const { type, name, text } = binding;
      return { type, name, sealed: await sealer(c).seal(place, text) };
    }),
  );
}

async function previewBindings(c: ApiContext, { namespace, script, bindings }: Plan) {
  return unwrap(await registry(c).previewBindings(namespace.id, script, bindings));
}

type Tried = Pick<CodeRecord, "startupTimeMs" | "handlers" | "exports">;

async function tryStart(
  c: ApiContext,
  plan: Plan,
  versionId: string,
  blob: string,
  bindings: Awaited<ReturnType<typeof previewBindings>>,
): Promise<Tried> {
  const { compatibilityDate, compatibilityFlags } = plan.settings;
  const facts = {
    id: versionId,
    namespace: plan.namespace.name,
    tag: plan.annotations?.["workers/tag"] ?? "",
    createdOn: Date.now(),
    classOwners: {},
  };
  const env = await makeEnv(bindings, facts, placeOf(plan.namespace.id, plan.script), sealer(c));
  const version = { versionId, compatibilityDate, compatibilityFlags, env };
  const { startupTimeMs, handlers, exports } = unwrap(await registry(c).tryStart(blob, version));
  if (handlers.length === 0 && exports.length === 0) {
    throw new ApiError(
      "noHandlers",
      "The uploaded script has no registered event handlers: export a default object with a fetch method.",
    );
  }
  return { startupTimeMs, handlers, exports };
}

/** Who deploys, and with what. */
export function authorOf(c: ApiContext): Pick<Release, "author" | "source"> {
  const isWrangler = c.req.header("user-agent")?.startsWith("wrangler/") ?? false;
  return { author: c.var.token.id, source: isWrangler ? "wrangler" : "api" };
}

async function commit(
  c: ApiContext,
  plan: Omit<Plan, "settings">,
  versionId: string,
  code: Pick<Release, "code" | "basedOnBlob">,
): Promise<ScriptRecord> {
  const released = unwrap(
    await registry(c).release({
      namespaceId: plan.namespace.id,
      script: plan.script,
      versionId,
      deploy: plan.deploy ?? true,
      ...code,
      bindings: plan.bindings,
      settings: plan.changed ?? {},
      scriptSettings: plan.scriptSettings ?? {},
      annotations: plan.annotations ?? {},
      ...(plan.keepsSettings && { keepsSettings: true }),
      ...(plan.assets !== undefined && { assets: plan.assets }),
      ...(plan.classes !== undefined && { classes: plan.classes }),
      ...authorOf(c),
    }),
  );
  await settle(c, released.generation);
  return released.value;
}
