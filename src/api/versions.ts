/** `…/scripts/{script}/versions`: all that are kept, whether they get traffic or not. */
import { param, registry, scriptOf, type ApiContext } from "./context.ts";
import { ok, pageWithin } from "./envelope.ts";
import { unwrap } from "./failures.ts";
import { upload } from "./scripts.ts";
import { authorEmails, versionSummaryToJson, versionToJson } from "./version-json.ts";

const PAGE_SIZE = 100;

/** Newest first. `?deployable` makes no difference: each of them can be deployed. */
export async function listVersions(c: ApiContext): Promise<Response> {
  const script = await scriptOf(c);
  const versions = await registry(c).versions(script.namespaceId, script.name);
  const emailOf = await authorEmails(c);
  const items = versions.map((version) => versionSummaryToJson(version, script, emailOf));
  return pageWithin(c, items, PAGE_SIZE, "items");
}

export async function getVersion(c: ApiContext): Promise<Response> {
  const script = await scriptOf(c);
  const { namespaceId, name } = script;
  const version = unwrap(await registry(c).scriptVersion(namespaceId, name, param(c, "version")));
  return ok(c, versionToJson(version, script, await authorEmails(c)));
}

/** Uploads a version without deploying it. The script has to be there. */
export async function postVersion(c: ApiContext): Promise<Response> {
  await scriptOf(c);
  const script = await upload(c, { deploy: false });
  return ok(c, versionToJson(script.version, script, await authorEmails(c)));
}
