/** A script as Cloudflare's API shows it. */
import type { Isolation } from "../protocol/placement.ts";
import type { ScriptSummary } from "../registry/records.ts";
import { derivePlace } from "../registry/trust.ts";
import { iso } from "./user.ts";

export function scriptToJson({ id, name, settings, version, ...script }: ScriptSummary) {
  const { code } = version;
  return {
    id: name,
    tag: id,
    tags: settings.tags,
    etag: code.blob,
    handlers: code.handlers,
    named_handlers: code.exports.map((entrypoint) => ({ name: entrypoint, handlers: [] })),
    entry_point: code.mainModule,
    has_modules: code.syntax === "modules" && version.assets?.isOnly !== true,
    has_assets: version.assets !== null,
    compatibility_date: version.settings.compatibilityDate,
    compatibility_flags: version.settings.compatibilityFlags,
    logpush: settings.logpush,
    ...(settings.observability && { observability: settings.observability }),
    usage_model: "standard",
    last_deployed_from: version.source,
    ...(script.migrationTag !== null && { migration_tag: script.migrationTag }),
    startup_time_ms: code.startupTimeMs,
    deployment_id: version.id,
    created_on: iso(script.createdOn),
    modified_on: iso(script.modifiedOn),
  };
}

/** The form in which a dispatch namespace shows its scripts. `place` is ours. */
export function namespacedScriptToJson(script: ScriptSummary, isolation: Isolation) {
  const { kind, why } = derivePlace(script.trust, script.isStateful ? "dedicated" : isolation);
  return {
    id: script.name,
    dispatch_namespace: script.namespace,
    script: scriptToJson(script),
    tags: script.settings.tags,
    place: { kind, why },
    created_on: iso(script.createdOn),
    modified_on: iso(script.modifiedOn),
  };
}
