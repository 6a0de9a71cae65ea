/** The scripts of the contract suite as uploads. */
import { toBundle, type InlineScript } from "../../src/testing/scripts/source.ts";
import type { BundleModule, ModuleType } from "../../src/protocol/bundle.ts";

const PART_TYPES: Readonly<Record<ModuleType, string>> = {
  esm: "application/javascript+module",
  cjs: "application/javascript",
  text: "text/plain",
  data: "application/octet-stream",
  wasm: "application/wasm",
  "source-map": "application/source-map",
};

/** A script as wrangler uploads it. */
export function toForm(name: string, script: InlineScript): FormData {
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
