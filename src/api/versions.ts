/** `…/scripts/{script}/versions`: all that are kept, whether they get traffic or not. */
import { param, registry, scriptOf, type ApiContext } from "./context.ts";
import { ok, pageWithin } from "./envelope.ts";
import { unwrap } from "./failures.ts";
import { upload } from "./scripts.ts";
import { bindingToJson } from "./upload/binding.ts";
import { authorEmails, versionToJson } from "./version-json.ts";

const PAGE_SIZE = 100;

/** Newest first. `?deployable` makes no difference: each of them can be deployed. */
export async function listVersions(c: ApiContext): Promise<Response> {
  const script = await scriptOf(c);
  const versions = await registry(c).versions(script.namespaceId, script.name);
  const emailOf = await authorEmails(c);
  const items = versions.map((version) =>
    versionToJson(version, version.bindings, script, emailOf),
  );
  return pageWithin(c, items, PAGE_SIZE, "items");
}

export async function getVersion(c: ApiContext): Promise<Response> {
  const script = await scriptOf(c);
  const { namespaceId, name } = script;
  const version = unwrap(await registry(c).scriptVersion(namespaceId, name, param(c, "version")));
  const bindings = version.bindings.map(bindingToJson);
  return ok(c, versionToJson(version, bindings, script, await authorEmails(c)));
}

/** Uploads a version without deploying it. The script has to be there. */
export async function postVersion(c: ApiContext): Promise<Response> {
  await scriptOf(c);
  const script = await upload(c, { deploy: false });
  const bindings = script.version.bindings.map(bindingToJson);
  return ok(c, versionToJson(script.version, bindings, script, await authorEmails(c)));
}
