/**
 * `…/workers/workers`: the newer view of account Workers, named by id or by name. wrangler reads the host names here and
 * changes secrets of versions; the SDK has it as `workers.beta.workers`.
 */
import * as z from "zod";
import type { NamespaceRecord, ScriptSummary } from "../registry/records.ts";
import { annotations } from "./annotations.ts";
import { namespaceOf, param, registry, settle, type ApiContext } from "./context.ts";
import { writeSecrets } from "./deploy.ts";
import { ok, page } from "./envelope.ts";
import { ApiError } from "./errors.ts";
import { unwrap } from "./failures.ts";
import { forgetMetrics } from "./forget-metrics.ts";
import { jsonBody } from "./json-body.ts";
import { subdomainToJson } from "./subdomain.ts";
import { bindingToJson, refuseLargeValue } from "./upload/binding.ts";
import { parseMetadata, scriptSettings } from "./upload/metadata.ts";
import { authorEmails, versionToJson } from "./version-json.ts";
import { iso } from "./user.ts";

/** A merge patch (RFC 7396): null removes. */
export const latestPatch = z.object({
  env: z
    .record(z.string(), z.object({ type: z.string(), text: z.string().optional() }).nullable())
    .default({}),
  annotations: annotations.default({}),
});

export const workerPatch = z.looseObject({
  name: z.string().optional(),
  previews_base_config: z.record(z.string(), z.unknown()).nullish(),
  subdomain: z
    .object({ enabled: z.boolean().optional(), previews_enabled: z.boolean().optional() })
    .optional(),
});

export async function listWorkers(c: ApiContext): Promise<Response> {
  const namespace = await namespaceOf(c);
  const found = await registry(c).scripts(namespace.id);
  return page(
    c,
    found.map((script) => toJson(c, namespace, script)),
  );
}

export async function getWorker(c: ApiContext): Promise<Response> {
  const { namespace, script } = await workerOf(c);
  return ok(c, toJson(c, namespace, script));
}

export function refuseWorkerCreation(): never {
  throw new ApiError(
    "notSupported",
    "A Worker without a version is not supported by this platform: upload one with PUT /accounts/{account}/workers/scripts/{name}, as 'wrangler deploy' does.",
  );
}

/** PUT and PATCH alike: what is absent stays. */
export async function updateWorker(c: ApiContext): Promise<Response> {
  const { namespace, script } = await workerOf(c);
  const patched = await jsonBody(c, workerPatch);
  const { name, subdomain, previews_base_config: previews, ...rest } = patched;
  if (name !== undefined && name !== script.name) {
    throw new ApiError(
      "notSupported",
      `The Worker '${script.name}' cannot be renamed to '${name}': deploy it under the other name and delete it under this one.`,
    );
  }
  if (previews && Object.keys(previews).length > 0) {
    throw new ApiError(
      "notSupported",
      `Skep has no Previews of branches: previews_base_config of '${script.name}' was not set.`,
    );
  }
  const patch = {
    ...scriptSettings(parseMetadata(rest, "settings")),
    ...(subdomain?.enabled !== undefined && { workersDev: subdomain.enabled }),
    ...(subdomain?.previews_enabled !== undefined && { previews: subdomain.previews_enabled }),
  };
  const updated = unwrap(await registry(c).updateScript(namespace.id, script.name, patch));
  await settle(c, updated.generation);
  return ok(c, toJson(c, namespace, updated.value));
}

export async function deleteWorker(c: ApiContext): Promise<Response> {
  const { namespace, script } = await workerOf(c);
  const deleted = unwrap(await registry(c).deleteScript(namespace.id, script.name, false));
  forgetMetrics(c, namespace.id, [script.name]);
  await settle(c, deleted.generation);
  return ok(c, null);
}

export async function listWorkerVersions(c: ApiContext): Promise<Response> {
  const { script } = await workerOf(c);
  const versions = await registry(c).versions(script.namespaceId, script.name);
  const emailOf = await authorEmails(c);
  return page(
    c,
    versions.map((version) => ({
      ...versionToJson(version, version.bindings, script, emailOf),
      created_on: iso(version.createdOn),
    })),
  );
}

/** `latest` is the one that was uploaded last. */
export async function getWorkerVersion(c: ApiContext): Promise<Response> {
  const { script } = await workerOf(c);
  const { namespaceId, name } = script;
  const wanted = param(c, "version");
  const version =
    wanted === "latest"
      ? unwrap(await registry(c).newest(namespaceId, name)).version
      : unwrap(await registry(c).scriptVersion(namespaceId, name, wanted));
  const bindings = version.bindings.map(bindingToJson);
  const json = versionToJson(version, bindings, script, await authorEmails(c));
  return ok(c, { ...json, created_on: iso(version.createdOn) });
}

/** Secrets of the newest version, in a new one that is not deployed. */
export async function patchLatestVersion(c: ApiContext): Promise<Response> {
  const body = await jsonBody(c, latestPatch);
  const { namespace, script } = await workerOf(c);
  const secrets = Object.entries(body.env).map(([name, value]) => {
    if (value === null) return [name, null] as const;
    const { type, text } = value;
    if (type !== "secret_text" || text === undefined) {
      throw new ApiError(
        "notSupported",
        `env.${name}: only secrets ({"type": "secret_text", "text": …}) can be changed here; other bindings change by an upload.`,
      );
    }
    refuseLargeValue({ type, name, text });
    return [name, text] as const;
  });
  const changed = await writeSecrets(c, namespace, script.name, Object.fromEntries(secrets), {
    deploy: false,
    annotations: body.annotations,
  });
  const bindings = changed.version.bindings.map(bindingToJson);
  return ok(c, versionToJson(changed.version, bindings, changed, await authorEmails(c)));
}

async function workerOf(
  c: ApiContext,
): Promise<{ readonly namespace: NamespaceRecord; readonly script: ScriptSummary }> {
  const wanted = param(c, "script");
  const namespace = await namespaceOf(c);
  const named = await registry(c).script(namespace.id, wanted);
  if (named.ok) return { namespace, script: named.value };
  const script = (await registry(c).scripts(namespace.id)).find(({ id }) => id === wanted);
  return { namespace, script: script ?? unwrap(named) };
}

function toJson(c: ApiContext, namespace: NamespaceRecord, script: ScriptSummary) {
  const { settings } = script;
  return {
    id: script.id,
    name: script.name,
    created_on: iso(script.createdOn),
    updated_on: iso(script.modifiedOn),
    deployed_on: iso(script.deployment.createdOn),
    tags: settings.tags,
    logpush: settings.logpush,
    observability: settings.observability ?? { enabled: false },
    tail_consumers: settings.tailConsumers.map((name) => ({ name })),
    subdomain: subdomainToJson(c, namespace, script),
    references: {
      dispatch_namespace_outbounds: [],
      domains: [],
      durable_objects: [],
      queues: [],
      workers: [],
    },
  };
}
