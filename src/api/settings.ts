/** `…/scripts/{script}/settings` and `…/bindings`. */
import { loadCode } from "../registry/blobs.ts";
import type { ScriptRecord } from "../registry/records.ts";
import { namespaceOf, param, registry, scriptOf, settle, type ApiContext } from "./context.ts";
import { redeploy, sealBindings } from "./deploy.ts";
import { ok, page } from "./envelope.ts";
import { ApiError } from "./errors.ts";
import { unwrap } from "./failures.ts";
import { MAX_JSON_BYTES, parseJson } from "./json-body.ts";
import { bindingToJson, parseBindings } from "./upload/binding.ts";
import { refuseBadLimits } from "./limit-rules.ts";
import { objectInForm } from "./upload/form-object.ts";
import { parseForm, readBody } from "./upload/form.ts";
import { parseMetadata, scriptSettings, versionSettings } from "./upload/metadata.ts";
import { checkPartBindings } from "./upload/modules.ts";

export async function getSettings(c: ApiContext): Promise<Response> {
  return ok(c, settingsToJson(await scriptOf(c)));
}

export async function listBindings(c: ApiContext): Promise<Response> {
  const { version } = await scriptOf(c);
  return page(c, version.bindings.map(bindingToJson));
}

/**
 * Changes what is given. Bindings, compatibility and limits belong to a version, so they make a new one,
 * which is tried like an upload. A list of bindings replaces all but the secrets.
 */
export async function patchSettings(c: ApiContext): Promise<Response> {
  const namespace = await namespaceOf(c);
  const name = param(c, "script");
  const current = unwrap(await registry(c).newest(namespace.id, name));
  const patch = parseMetadata(await readSettings(c.req.raw), "settings");
  const ofVersion = versionSettings(patch, new Date());
  const ofScript = scriptSettings(patch);
  const { limits } = ofVersion;
  if (limits) refuseBadLimits(limits, c.env.PLATFORM.limits, "settings.limits", "invalid");
  if (!patch.bindings && Object.keys(ofVersion).length === 0) {
    const updated = unwrap(await registry(c).updateScript(namespace.id, name, ofScript));
    await settle(c, updated.generation);
    return ok(c, settingsToJson(updated.value));
  }
  const bindings = patch.bindings && parseBindings(patch.bindings, "settings.bindings");
  if (bindings) checkPartBindings(await loadCode(c.env.BLOBS, current.version.code.blob), bindings);
  const deployed = await redeploy(
    c,
    {
      namespace,
      script: name,
      bindings: bindings
        ? {
            mode: "replace",
            bindings: await sealBindings(c, namespace, name, bindings),
            keepTypes: patch.keep_bindings ?? [],
            strict: true,
          }
        : { mode: "keep" },
      settings: { ...current.version.settings, ...ofVersion },
      changed: ofVersion,
      scriptSettings: ofScript,
      annotations: patch.annotations ?? {},
    },
    current,
  );
  return ok(c, settingsToJson(deployed));
}

/** `…/script-settings`: what belongs to no version. */
export async function getScriptSettings(c: ApiContext): Promise<Response> {
  return ok(c, scriptSettingsToJson(await scriptOf(c)));
}

/** Changes what is given. Nothing of a version is, so nothing is deployed. */
export async function patchScriptSettings(c: ApiContext): Promise<Response> {
  const { id } = await namespaceOf(c);
  const patch = scriptSettings(parseMetadata(await readSettings(c.req.raw), "settings"));
  const updated = unwrap(await registry(c).updateScript(id, param(c, "script"), patch));
  await settle(c, updated.generation);
  return ok(c, scriptSettingsToJson(updated.value));
}

/** A form with the part `settings`, or plain JSON, with or without that name around it. */
async function readSettings(request: Request): Promise<unknown> {
  const body = await readBody(request, MAX_JSON_BYTES);
  const form = await parseForm(body, request.headers.get("content-type"));
  if (!form) {
    const json = parseJson(new TextDecoder().decode(body), "the request body");
    const wrapped = typeof json === "object" && json !== null && "settings" in json;
    return wrapped ? json.settings : json;
  }
  const settings = await objectInForm(form, "settings");
  if (settings === undefined) {
    throw new ApiError("badBody", "Could not parse request body: the form has no part 'settings'.");
  }
  return settings;
}

function settingsToJson({ settings, version }: ScriptRecord) {
  return {
    bindings: version.bindings.map(bindingToJson),
    compatibility_date: version.settings.compatibilityDate,
    compatibility_flags: version.settings.compatibilityFlags,
    limits: version.settings.limits ?? {},
    placement: version.settings.placement ?? {},
    ...scriptSettingsToJson({ settings }),
    usage_model: "standard",
  };
}

function scriptSettingsToJson({ settings }: Pick<ScriptRecord, "settings">) {
  return {
    tags: settings.tags,
    logpush: settings.logpush,
    observability: settings.observability ?? { enabled: false },
    tail_consumers: settings.tailConsumers.map((service) => ({ service })),
  };
}
