/** `…/dispatch/namespaces/{namespace}/scripts`, and the Workers outside of namespaces at `…/workers/scripts` */
import { makeAssets } from "./assets/make-assets.ts";
import { isolationOf, namespaceOf, param, registry, settle, type ApiContext } from "./context.ts";
import { replaceFeeds } from "./changes.ts";
import { deployCode, sealBindings } from "./deploy.ts";
import { ok, page } from "./envelope.ts";
import { ApiError } from "./errors.ts";
import { unwrap } from "./failures.ts";
import type { ScriptRecord } from "../registry/records.ts";
import { forgetMetrics } from "./forget-metrics.ts";
import { refuseBadLimits } from "./limit-rules.ts";
import { namespacedScriptToJson, scriptToJson } from "./script-json.ts";
import { parseTagFilter } from "./tag-rules.ts";
import { readUpload } from "./upload/upload.ts";

/** wrangler allows these; longer names than a host label has (63) are reached by custom routes. */
const NAME = /^[a-z0-9_][a-z0-9_-]{0,254}$/;

export async function listScripts(c: ApiContext): Promise<Response> {
  const namespace = await namespaceOf(c);
  const isolation = isolationOf(c, namespace);
  const scripts = await registry(c).scripts(namespace.id);
  const filter = c.req.query("tags");
  const matches = filter ? parseTagFilter(filter) : () => true;
  return page(
    c,
    scripts
      .filter(({ settings }) => matches(settings.tags))
      .map((script) => namespacedScriptToJson(script, isolation)),
  );
}

export async function getScript(c: ApiContext): Promise<Response> {
  const namespace = await namespaceOf(c);
  const script = unwrap(await registry(c).script(namespace.id, param(c, "script")));
  return ok(c, namespacedScriptToJson(script, isolationOf(c, namespace)));
}

export async function putScript(c: ApiContext): Promise<Response> {
  return ok(c, scriptToJson(await upload(c, { deploy: true })));
}

/** Tries and stores what the request brings as a new version. The script is returned with it as its version. */
export async function upload(
  c: ApiContext,
  { deploy }: { readonly deploy: boolean },
): Promise<ScriptRecord> {
  const script = param(c, "script");
  if (!NAME.test(script)) {
    throw new ApiError(
      "badScriptName",
      `'${script}' cannot name a script: use 1 to 255 of a-z, 0-9, - and _, not beginning with -.`,
    );
  }
  const namespace = await namespaceOf(c);
  const uploaded = await readUpload(c.req.raw, new Date());
  const { limits } = uploaded.settings;
  if (limits) refuseBadLimits(limits, c.env.PLATFORM.limits, "metadata.limits", "invalid");
  if (uploaded.classes !== undefined && !deploy) {
    throw new ApiError(
      "migrationInVersion",
      'Version upload failed. You attempted to upload a version of a Worker that includes a Durable Object migration, but migrations must be fully applied by running "wrangler deploy".',
    );
  }
  const deployed = await deployCode(
    c,
    {
      namespace,
      script,
      deploy,
      bindings: {
        mode: "replace",
        bindings: await sealBindings(c, namespace, script, uploaded.bindings),
        keepTypes: uploaded.keepTypes,
        strict: c.req.query("bindings_inherit") === "strict",
      },
      settings: uploaded.settings,
      scriptSettings: uploaded.scriptSettings,
      annotations: { "workers/triggered_by": "upload", ...uploaded.annotations },
      ...(uploaded.classes && { classes: uploaded.classes }),
      assets: await makeAssets(c, namespace, script, uploaded.assets, uploaded.isAssetsOnly),
    },
    uploaded.code,
  );
  // Of the script and not of its versions, as all that wakes it.
  if (deploy && uploaded.changes) await replaceFeeds(c, uploaded.changes, "metadata.changes");
  return deployed;
}

/**
 * What depends on it gets an error from then on. With `?force` that is so for those who are bound to its Durable Objects, too;
 * without, they keep it from being deleted.
 */
export async function deleteScript(c: ApiContext): Promise<Response> {
  const { id } = await namespaceOf(c);
  const script = param(c, "script");
  const isForced = c.req.query("force") === "true";
  const deleted = unwrap(await registry(c).deleteScript(id, script, isForced));
  forgetMetrics(c, id, [script]);
  await settle(c, deleted.generation);
  return ok(c, null);
}

/** Deletes by tags. Without a filter it would empty the namespace, so there must be one. */
export async function deleteScripts(c: ApiContext): Promise<Response> {
  const filter = c.req.query("tags");
  if (!filter) {
    throw new ApiError("badTags", "Say which scripts to delete: ?tags=a:yes,b:no");
  }
  const matches = parseTagFilter(filter);
  const { id } = await namespaceOf(c);
  const names = (await registry(c).scripts(id))
    .filter(({ settings }) => matches(settings.tags))
    .map(({ name }) => name);
  const deleted = unwrap(await registry(c).deleteScripts(id, names));
  forgetMetrics(c, id, deleted.value);
  await settle(c, deleted.generation);
  return ok(
    c,
    deleted.value.map((name) => ({ id: name })),
  );
}
