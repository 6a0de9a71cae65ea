/**
 * `…/workers/services/{script}`: the older view of account Workers, which wrangler asks first. A service has one
 * environment; `wrangler --env` makes scripts of their own.
 */
import type { ScriptRecord } from "../registry/records.ts";
import { param, scriptOf, type ApiContext } from "./context.ts";
import { ok } from "./envelope.ts";
import { ApiError } from "./errors.ts";
import { scriptToJson } from "./script-json.ts";
import { bindingToJson } from "./upload/binding.ts";
import { iso } from "./user.ts";

const ENVIRONMENT = "production";

export async function getService(c: ApiContext): Promise<Response> {
  const script = await scriptOf(c);
  const environment = environmentToJson(script);
  return ok(c, {
    id: script.name,
    default_environment: environment,
    environments: [environment],
    created_on: iso(script.createdOn),
    modified_on: iso(script.modifiedOn),
  });
}

export async function getEnvironment(c: ApiContext): Promise<Response> {
  return ok(c, environmentToJson(await environmentOf(c)));
}

export async function getEnvironmentBindings(c: ApiContext): Promise<Response> {
  const { version } = await environmentOf(c);
  return ok(c, version.bindings.map(bindingToJson));
}

/** The script, if the path names the one environment that there is. */
async function environmentOf(c: ApiContext): Promise<ScriptRecord> {
  const environment = param(c, "environment");
  const script = await scriptOf(c);
  if (environment === ENVIRONMENT) return script;
  throw new ApiError(
    "workerNotFound",
    `The Worker '${script.name}' has no environment '${environment}': there is only '${ENVIRONMENT}', and 'wrangler deploy --env' makes Workers of their own.`,
  );
}

function environmentToJson(script: ScriptRecord) {
  return {
    environment: ENVIRONMENT,
    created_on: iso(script.createdOn),
    modified_on: iso(script.modifiedOn),
    script: scriptToJson(script),
  };
}
