/** `…/scripts/{script}/deployments`: which versions get traffic, now and before. */
import * as z from "zod";
import type { ScriptRecord, StoredBinding, VersionRecord } from "../registry/records.ts";
import { placeOf } from "../registry/seal.ts";
import { annotations } from "./annotations.ts";
import { param, registry, scriptOf, sealer, settle, type ApiContext } from "./context.ts";
import { authorOf } from "./deploy.ts";
import { ok, pageWithin } from "./envelope.ts";
import { ApiError } from "./errors.ts";
import { unwrap } from "./failures.ts";
import { jsonBody } from "./json-body.ts";
import { authorEmails, deploymentToJson } from "./version-json.ts";

/** As on Cloudflare: wrangler looks at every version of every deployment that it gets. */
const PAGE_SIZE = 10;

export const deployment = z.object({
  strategy: z.literal("percentage").default("percentage"),
  versions: z.array(z.object({ version_id: z.string(), percentage: z.number() })),
  annotations: annotations.default({}),
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
  const { versions, annotations: given } = await jsonBody(c, deployment);
  const script = await scriptOf(c);
  const shares = versions.map(({ version_id: versionId, percentage }) => {
    return { versionId, percentage };
  });
  const [only, ...others] = shares;
  const older = only && others.length === 0 ? await olderVersion(c, script, only.versionId) : null;
  if (older && c.req.query("force") !== "true") await confirmSecrets(c, script, older);
  const deployed = unwrap(
    await registry(c).deploy(script.namespaceId, script.name, {
      shares,
      annotations: { ...(older && { "workers/triggered_by": "rollback" }), ...given },
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

/** The version, if deploying it is a rollback: it is older than the one in force, and gets no traffic. */
async function olderVersion(
  c: ApiContext,
  { namespaceId, name, version: current, deployment }: ScriptRecord,
  versionId: string,
): Promise<VersionRecord | null> {
  if (deployment.shares.some((share) => share.versionId === versionId)) return null;
  const wanted = unwrap(await registry(c).scriptVersion(namespaceId, name, versionId));
  return wanted.number < current.number ? wanted : null;
}

/** A rollback brings older secrets back, too, and whoever makes it may not be aware of it. */
async function confirmSecrets(
  c: ApiContext,
  { namespaceId, name, version: current }: ScriptRecord,
  older: VersionRecord,
): Promise<void> {
  const place = placeOf(namespaceId, name);
  const [now, then] = await Promise.all([
    openSecrets(c, place, current.bindings),
    openSecrets(c, place, older.bindings),
  ]);
  const names = [...new Set([...now.keys(), ...then.keys()])];
  const changed = names.filter((secret) => now.get(secret) !== then.get(secret));
  if (changed.length === 0) return;
  // wrangler reads the names after the colon.
  throw new ApiError(
    "secretsChanged",
    `Version ${older.id} has other secrets than the one in force; deploy it nevertheless with ?force=true or 'wrangler rollback'. The following secrets have changed: ${changed.join(", ")}`,
  );
}

async function openSecrets(c: ApiContext, place: string, bindings: readonly StoredBinding[]) {
  const secrets = bindings.filter((binding) => binding.type === "secret_text");
  const opened = secrets.map(async ({ name, sealed }) => {
    return [name, await sealer(c).open(place, sealed)] as const;
  });
  return new Map(await Promise.all(opened));
}
