/** Versions and deployments as Cloudflare's API shows them. */
import type { DeploymentRecord, ScriptRecord, VersionRecord } from "../registry/records.ts";
import { accountId, registry, type ApiContext } from "./context.ts";
import { iso } from "./user.ts";

/** RFC 1035 section 2.3.4. */
const MAX_LABEL = 63;

/** In lists its bindings have names and types only. */
export function versionToJson(
  version: Omit<VersionRecord, "bindings">,
  bindings: readonly unknown[],
  script: Pick<ScriptRecord, "name" | "settings" | "isStateful">,
  emailOf: EmailOf,
) {
  const { code, settings } = version;
  return {
    id: version.id,
    number: version.number,
    metadata: {
      created_on: iso(version.createdOn),
      modified_on: iso(version.createdOn),
      source: version.source,
      author_id: version.author,
      author_email: emailOf(version.author),
      has_preview:
        script.settings.previews &&
        !script.isStateful &&
        previewLabel(version.id, script.name) !== null,
    },
    annotations: version.annotations,
    resources: {
      bindings,
      script: {
        etag: code.blob,
        handlers: code.handlers,
        named_handlers: code.exports.map((name) => ({ name, handlers: [] })),
        last_deployed_from: version.source,
        ...(settings.placement?.["mode"] && { placement_mode: settings.placement["mode"] }),
      },
      script_runtime: {
        compatibility_date: settings.compatibilityDate,
        compatibility_flags: settings.compatibilityFlags,
        usage_model: "standard",
        limits: settings.limits ?? {},
      },
    },
    startup_time_ms: code.startupTimeMs,
  };
}

/** In front of the namespace in the host name of a version's preview; null: it is too long for one. */
function previewLabel(versionId: string, script: string): string | null {
  const label = `${versionId.slice(0, 8)}-${script}`;
  return label.length <= MAX_LABEL ? label : null;
}

export function deploymentToJson(deployment: DeploymentRecord, emailOf: EmailOf) {
  return {
    id: deployment.id,
    source: deployment.source,
    strategy: "percentage",
    author_id: deployment.author,
    author_email: emailOf(deployment.author),
    annotations: deployment.annotations,
    created_on: iso(deployment.createdOn),
    versions: deployment.shares.map(({ versionId, percentage }) => ({
      version_id: versionId,
      percentage,
    })),
  };
}

/** By the id of the token that somebody used. Nobody receives mail there. */
export type EmailOf = (author: string) => string;

export async function authorEmails(c: ApiContext): Promise<EmailOf> {
  const names = await registry(c).tokenNames(accountId(c));
  return (author) => `${names[author] ?? author}@${c.env.PLATFORM.baseDomain}`;
}
