/** `…/scripts/{script}/deployments`: which versions get traffic, now and before. */
import * as z from "zod";
import type { ScriptRecord, StoredBinding } from "../registry/records.ts";
import { placeOf } from "../registry/seal.ts";
import { param, registry, scriptOf, sealer, settle, type ApiContext } from "./context.ts";
import { authorOf } from "./deploy.ts";
import { ok, pageWithin } from "./envelope.ts";
import { ApiError } from "./errors.ts";
import { unwrap } from "./failures.ts";
import { jsonBody } from "./json-body.ts";
import { authorEmails, deploymentToJson } from "./version-json.ts";

/** As on Cloudflare: wrangler looks at every version of every deployment that it gets. */
const PAGE_SIZE = 10;

const deployment = z.object({
  strategy: z.literal("percentage").default("percentage"),
  versions: z.array(z.object({ version_id: z.string(), percentage: z.number() })),
  annotations: z.record(z.string(), z.string()).default({}),
});

/** Newest first; the first is in force. wrangler reads `deployments`, the SDK `items`. */
export async function listDeployments(c: ApiContext): Promise<Response> {
  const { namespaceId, name } = await scriptOf(c);
  const found = await registry(c).deployments(namespaceId, name);
  const emailOf = await authorEmails(c);
  const items = found.map((deployment) => deploymentToJson(deployment, emailOf));
  return pageWithin(c, items, PAGE_SIZE, "deployments", "items");
}

export async function getDeployment(c: ApiContext): Promise<Response> {
  const { namespaceId, name } = await scriptOf(c);
  const id = param(c, "deployment");
  const deployments = await registry(c).deployments(namespaceId, name);
  const found = deployments.find((deployment) => deployment.id === id);
  if (!found) throw new ApiError("deploymentNotFound", `There is no deployment ${id}.`);
  return ok(c, deploymentToJson(found, await authorEmails(c)));
}

export async function postDeployment(c: ApiContext): Promise<Response> {
  const { versions, annotations } = await jsonBody(c, deployment);
  const script = await scriptOf(c);
  const shares = versions.map(({ version_id: versionId, percentage }) => {
    return { versionId, percentage };
  });
  const [only, ...others] = shares;
  if (only && others.length === 0 && c.req.query("force") !== "true") {
    await confirmSecrets(c, script, only.versionId);
  }
  const deployed = unwrap(
    await registry(c).deploy(script.namespaceId, script.name, {
      shares,
      annotations: { "workers/triggered_by": "deployment", ...annotations },
      ...authorOf(c),
    }),
  );
  await settle(c, deployed.generation);
  return ok(c, deploymentToJson(deployed.value, await authorEmails(c)));
}

export async function deleteDeployment(c: ApiContext): Promise<Response> {
  const { namespaceId, name } = await scriptOf(c);
  unwrap(await registry(c).deleteDeployment(namespaceId, name, param(c, "deployment")));
  return ok(c, null);
}

/** Who goes back to an older version brings its secrets back, too, and may not be aware of it. */
async function confirmSecrets(
  c: ApiContext,
  script: ScriptRecord,
  versionId: string,
): Promise<void> {
  const { namespaceId, name, version: current, deployment } = script;
  if (deployment.shares.some((share) => share.versionId === versionId)) return;
  const wanted = unwrap(await registry(c).scriptVersion(namespaceId, name, versionId));
  if (wanted.number > current.number) return;
  const open = (bindings: readonly StoredBinding[]) =>
    openSecrets(c, placeOf(namespaceId, name), bindings);
  const [now, then] = await Promise.all([open(current.bindings), open(wanted.bindings)]);
  const names = [...new Set([...now.keys(), ...then.keys()])];
  const changed = names.filter((secret) => now.get(secret) !== then.get(secret));
  if (changed.length === 0) return;
  // wrangler reads the names after the colon.
  throw new ApiError(
    "secretsChanged",
    `Version ${versionId} has other secrets than the one in force; deploy it nevertheless with ?force=true or 'wrangler rollback'. The following secrets have changed: ${changed.join(", ")}`,
  );
}

async function openSecrets(c: ApiContext, place: string, bindings: readonly StoredBinding[]) {
  const secrets = bindings.filter((binding) => binding.type === "secret_text");
  const opened = secrets.map(async ({ name, sealed }) => {
    return [name, await sealer(c).open(place, sealed)] as const;
  });
  return new Map(await Promise.all(opened));
}
