/** `…/scripts/{script}/content`: the modules of the version in force. */
import { loadCode, type Code } from "../registry/blobs.ts";
import { namespaceOf, registry, scriptOf, param, type ApiContext } from "./context.ts";
import { deployCode } from "./deploy.ts";
import { ok } from "./envelope.ts";
import { unwrap } from "./failures.ts";
import { scriptToJson } from "./script-json.ts";
import { refuseAssets } from "./upload/metadata.ts";
import { CONTENT_TYPES } from "./upload/modules.ts";
import { readCode } from "./upload/upload.ts";

/** A single module comes as it is, several as a form; `cf-entrypoint` names the one to start from. */
export async function getContent(c: ApiContext): Promise<Response> {
  const { version } = await scriptOf(c);
  const code = await loadCode(c.env.BLOBS, version.code.blob);
  const headers = { "cf-entrypoint": code.mainModule, etag: `"${version.code.blob}"` };
  const [only, ...others] = code.modules;
  if (!only || others.length > 0) return new Response(toForm(code), { headers });
  return new Response(only.content, {
    headers: { ...headers, "content-type": CONTENT_TYPES[only.type] },
  });
}

/** New modules under the settings and bindings that are there. */
export async function putContent(c: ApiContext): Promise<Response> {
  const namespace = await namespaceOf(c);
  const current = unwrap(await registry(c).newest(namespace.id, param(c, "script")));
  const { metadata, code } = await readCode(c.req.raw);
  refuseAssets(metadata, "metadata");
  const deployed = await deployCode(
    c,
    {
      namespace,
      script: current.name,
      bindings: { mode: "keep" },
      settings: current.version.settings,
      changed: {},
      keepsSettings: true,
    },
    code,
  );
  return ok(c, scriptToJson(deployed));
}

function toForm(code: Code): FormData {
  const form = new FormData();
  for (const { name, type, content } of code.modules) {
    form.set(name, new File([content], name, { type: CONTENT_TYPES[type] }));
  }
  return form;
}
