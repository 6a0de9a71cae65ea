/**
 * The contract against the real platform, with the probe as its dispatcher. With one edge every proven function is
 * at home where its requests arrive; with three, most first calls go to another edge; newcomers are in cells.
 */
import { join } from "node:path";
import { toBundle, type InlineScript } from "../../src/testing/scripts/source.ts";
import type { BundleModule, ModuleType } from "../../src/protocol/bundle.ts";
import { startPlatform } from "../platform.ts";
import { describeDispatchNamespace } from "./dispatch-namespace.ts";

const SETTINGS = [
  { edges: "1", isolation: "trusted" },
  { edges: "3", isolation: "trusted" },
  { edges: "2", isolation: "shared" },
  { edges: "2", isolation: "dedicated" },
];

for (const { edges, isolation } of SETTINGS) {
  describeDispatchNamespace(`on a Skep server (${isolation}, edges: ${edges})`, async (scripts) => {
    const dispatcher = join(import.meta.dirname, "probe.js");
    const platform = await startPlatform({
      args: ["--dispatcher", dispatcher, "--edges", edges, "--isolation", isolation],
    });
    const deploy = (name: string, script: InlineScript) =>
      platform.deploy(name, toForm(name, script));
    for (const [name, script] of Object.entries(scripts)) await deploy(name, script);
    return {
      url: platform.wranglerEnv.SKEP_URL,
      deploy,
      stop: async () => {
        await platform.stop();
      },
    };
  });
}

const PART_TYPES: Readonly<Record<ModuleType, string>> = {
  esm: "application/javascript+module",
  cjs: "application/javascript",
  text: "text/plain",
  data: "application/octet-stream",
  wasm: "application/wasm",
  "source-map": "application/source-map",
};

/** A script as wrangler uploads it. */
function toForm(name: string, script: InlineScript): FormData {
  const { mainModule, modules, syntax, compatibilityDate, compatibilityFlags, env } = toBundle(
    name,
    script,
  );
  const bindings = Object.entries(env).map(([name, binding]) => {
    const value = "value" in binding ? binding.value : undefined;
    return typeof value === "string"
      ? { type: "plain_text", name, text: value }
      : { type: "json", name, json: value };
  });
  const metadata = {
    [syntax === "modules" ? "main_module" : "body_part"]: mainModule,
    compatibility_date: compatibilityDate,
    compatibility_flags: compatibilityFlags,
    bindings,
  };
  const form = new FormData();
  form.set("metadata", JSON.stringify(metadata));
  for (const module of modules) form.set(module.name, toPart(module));
  return form;
}

function toPart({ name, type, content }: BundleModule): File {
  return new File([new Uint8Array(content)], name, { type: PART_TYPES[type] });
}
