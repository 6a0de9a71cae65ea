/**
 * Host names of account Workers, `<script>.<subdomain>.<base domain>`, where Cloudflare has workers.dev. The subdomain
 * belongs to the account from its beginning; a Worker may keep off its own name there.
 */
import * as z from "zod";
import type { NamespaceRecord, ScriptRecord, ScriptSettings } from "../registry/records.ts";
import { namespaceOf, param, registry, scriptOf, settle, type ApiContext } from "./context.ts";
import { ok } from "./envelope.ts";
import { ApiError } from "./errors.ts";
import { unwrap } from "./failures.ts";
import { jsonBody } from "./json-body.ts";

export const change = z.object({ enabled: z.boolean(), previews_enabled: z.boolean().optional() });

const HTTPS_PORT = 443;

/** `GET …/workers/subdomain` */
export async function getSubdomain(c: ApiContext): Promise<Response> {
  const { name } = await namespaceOf(c);
  return ok(c, { subdomain: name });
}

export async function refuseSubdomainChange(c: ApiContext): Promise<never> {
  const { name } = await namespaceOf(c);
  throw new ApiError(
    "notSupported",
    `The account's subdomain is '${name}' and cannot be changed: host names and certificates are made of it.`,
  );
}

/** `GET …/workers/scripts/{script}/subdomain` */
export async function getScriptSubdomain(c: ApiContext): Promise<Response> {
  return ok(c, toJson(await scriptOf(c)));
}

/** Previews follow the Worker itself, unless they are named. */
export async function postScriptSubdomain(c: ApiContext): Promise<Response> {
  const { enabled, previews_enabled = enabled } = await jsonBody(c, change);
  return ok(c, await store(c, { workersDev: enabled, previews: previews_enabled }));
}

export async function deleteScriptSubdomain(c: ApiContext): Promise<Response> {
  return ok(c, await store(c, { workersDev: false, previews: false }));
}

async function store(c: ApiContext, patch: Partial<ScriptSettings>) {
  const { id } = await namespaceOf(c);
  const updated = unwrap(await registry(c).updateScript(id, param(c, "script"), patch));
  await settle(c, updated.generation);
  return toJson(updated.value);
}

function toJson({ settings }: ScriptRecord) {
  return { enabled: settings.workersDev, previews_enabled: settings.previews };
}

/** With where it is: wrangler prints the host of `url`, and what it puts in front of the suffix. */
export function subdomainToJson(
  c: ApiContext,
  namespace: NamespaceRecord,
  { name, settings }: Pick<ScriptRecord, "name" | "settings">,
) {
  const { baseDomain, httpsPort } = c.env.PLATFORM;
  const port = httpsPort === HTTPS_PORT ? "" : `:${httpsPort}`;
  const host = `${name}.${namespace.name}.${baseDomain}${port}`;
  return {
    enabled: settings.workersDev,
    previews_enabled: settings.previews,
    url: `https://${host}`,
    preview_url_suffix: `-${host}`,
  };
}
