/**
 * User Workers as a test writes them down, and how they become bundles. Nothing here needs Node, so that
 * tests inside workerd can deploy too; scripts given as files are bundled in ../script-file.ts.
 */
import { encodeBundle, type Bundle, type ModuleType } from "../../protocol/bundle.ts";
import { toBase64 } from "./base64.ts";
import type { PackedScript } from "./packed.ts";

/** Scripts that name no compatibility date get this one. */
export const DEFAULT_COMPATIBILITY_DATE = "2026-11-01";

export type Json = string | number | boolean | null | Json[] | { [key: string]: Json };

export interface ScriptSettings {
  /** @default DEFAULT_COMPATIBILITY_DATE */
  readonly compatibilityDate?: string;
  readonly compatibilityFlags?: readonly string[];
  /** The script's `env`: variables and secrets. Other kinds of bindings are not supported. */
  readonly bindings?: Readonly<Record<string, Json>>;
}

/** The type follows from the module's name, as in wrangler, unless it is given. */
export type ModuleContent =
  | string
  | Uint8Array
  | { readonly type: ModuleType; readonly content: string | Uint8Array };

export interface ModulesScript extends ScriptSettings {
  /** By the name under which they are imported, without `./`. */
  readonly modules: Readonly<Record<string, ModuleContent>>;
  /** @default the first of `modules` */
  readonly mainModule?: string;
}

/** A classic script that calls `addEventListener`; its bindings are globals. */
export interface ServiceWorkerScript extends ScriptSettings {
  readonly serviceWorker: string;
}

/** A file to bundle with esbuild, which must be installed. A relative path starts at the working directory. */
export interface FileScript extends ScriptSettings {
  readonly main: string | URL;
}

/** A string is the source of a Worker that is one ES module. */
export type InlineScript = string | ModulesScript | ServiceWorkerScript;
export type Script = InlineScript | FileScript;

const TYPE_OF_EXTENSION: Readonly<Record<string, ModuleType>> = {
  js: "esm",
  mjs: "esm",
  cjs: "cjs",
  txt: "text",
  html: "text",
  sql: "text",
  bin: "data",
  wasm: "wasm",
};

/** `name` is the script's, for errors. */
export function packScript(name: string, script: InlineScript): PackedScript {
  const bundle = toBundle(name, script);
  return { versionId: bundle.versionId, bundle: toBase64(encodeBundle(bundle)) };
}

/** Each call makes a new version. */
export function toBundle(name: string, script: InlineScript): Bundle {
  if (typeof script === "string") return toBundle(name, { modules: { "index.js": script } });
  const isClassic = "serviceWorker" in script;
  const modules = isClassic
    ? { "index.js": { type: "cjs" as const, content: script.serviceWorker } }
    : script.modules;
  const mainModule = isClassic ? "index.js" : (script.mainModule ?? Object.keys(modules)[0]);
  if (mainModule === undefined || !(mainModule in modules)) {
    throw new TypeError(`script "${name}": there is no main module "${mainModule}" in "modules"`);
  }
  const env = Object.entries(script.bindings ?? {}).map(
    ([binding, value]) => [binding, { type: "value", value }] as const,
  );
  return {
    versionId: crypto.randomUUID(),
    compatibilityDate: script.compatibilityDate ?? DEFAULT_COMPATIBILITY_DATE,
    compatibilityFlags: script.compatibilityFlags ?? [],
    syntax: isClassic ? "service-worker" : "modules",
    mainModule,
    modules: Object.entries(modules).map(([module, content]) => toModule(name, module, content)),
    env: Object.fromEntries(env),
  };
}

function toModule(script: string, name: string, module: ModuleContent): Bundle["modules"][number] {
  const { type, content } =
    typeof module === "string" || module instanceof Uint8Array
      ? { type: typeOf(script, name), content: module }
      : module;
  return {
    name,
    type,
    content: typeof content === "string" ? new TextEncoder().encode(content) : content,
  };
}

function typeOf(script: string, module: string): ModuleType {
  const type = TYPE_OF_EXTENSION[module.slice(module.lastIndexOf(".") + 1)];
  if (type !== undefined) return type;
  throw new TypeError(
    `script "${script}": the name of module "${module}" does not tell its type; give { type, content }`,
  );
}
