/**
 * `skep/testing`: working dispatch namespaces for any dispatcher Worker in Miniflare and in Vitest.
 *
 *   new Miniflare(convertV4MiniflareOptions({ …, ...dispatchNamespaces({ DISPATCHER: { … } }) }))
 *   cloudflareTest({ …, miniflare: dispatchNamespaces({ DISPATCHER: { … } }) })
 *
 * User Workers run in isolates of their own, loaded by the code that a Skep server uses. What differs from
 * Cloudflare: `limits` are accepted and not enforced; a user Worker's `env` holds values only; with an
 * outbound Worker, module state is not shared between calls with different outbound parameters.
 */
import { fileURLToPath } from "node:url";
import { PLUGIN_NAME, type PendingScript, type PluginOptions } from "./plugin-options.ts";
import { absolutePath } from "./script-file.ts";
import { packScript, type Json, type Script } from "./scripts/source.ts";

export { deploy, remove } from "./scripts/deploy.ts";
export type {
  FileScript,
  InlineScript,
  Json,
  ModuleContent,
  ModulesScript,
  Script,
  ScriptSettings,
  ServiceWorkerScript,
} from "./scripts/source.ts";

export interface DispatchNamespaceOptions {
  /** The namespace's name, such as `production`; error messages name it. */
  readonly namespace: string;
  /** The user Workers at the start, by name. @default none */
  readonly scripts?: Readonly<Record<string, Script>>;
  /** Receives every `fetch` of the user Workers. @default they fetch from where the dispatcher does */
  readonly outbound?: {
    readonly worker: Script;
    /** What `get(…, { outbound })` may set; the outbound Worker finds the values in its `env`. They are JSON. */
    readonly parameters?: readonly string[];
  };
}

/** By the name of the dispatcher's binding. */
export type DispatchNamespaces = Readonly<Record<string, DispatchNamespaceOptions>>;

/** What Miniflare takes as `unsafeBindings`. */
export interface UnsafeBinding {
  name: string;
  type: string;
  plugin: { package: string; name: string };
  options: Record<string, Json>;
}

/**
 * Options of one Worker, to spread among Miniflare's options in its classic form or to use as (part of)
 * `miniflare` in Vitest. They take precedence over bindings of the same name in a wrangler configuration.
 */
export function dispatchNamespaces(namespaces: DispatchNamespaces): {
  unsafeBindings: UnsafeBinding[];
} {
  const unsafeBindings = Object.entries(namespaces).map(([binding, options]) => ({
    name: `skep:${binding}`,
    type: "dispatch-namespace",
    plugin: { package: pluginPath(), name: PLUGIN_NAME },
    options: pluginOptions(binding, options) as unknown as Record<string, Json>,
  }));
  return { unsafeBindings };
}

/** The same, to spread into `config.env` of a Worker in the native form of Miniflare 5. */
export function dispatchNamespaceEnv(namespaces: DispatchNamespaces): Record<
  string,
  {
    type: `unsafe:${string}`;
    dev: Pick<UnsafeBinding, "plugin" | "options">;
  }
> {
  const { unsafeBindings } = dispatchNamespaces(namespaces);
  return Object.fromEntries(
    unsafeBindings.map(({ name, type, ...dev }) => [name, { type: `unsafe:${type}`, dev }]),
  );
}

function pluginOptions(binding: string, options: DispatchNamespaceOptions): PluginOptions {
  const { namespace, scripts = {}, outbound } = options;
  const pending = Object.entries(scripts).map(
    ([name, script]) => [name, toPending(name, script)] as const,
  );
  return {
    binding,
    namespace,
    scripts: Object.fromEntries(pending),
    outbound:
      outbound === undefined
        ? null
        : {
            script: toPending("outbound", outbound.worker),
            parameters: outbound.parameters ?? [],
          },
  };
}

function toPending(name: string, script: Script): PendingScript {
  if (typeof script === "string" || !("main" in script))
    return { packed: packScript(name, script) };
  return { file: { ...script, main: absolutePath(script.main) } };
}

/** Beside this file, in the sources as in the build. */
function pluginPath(): string {
  const extension = import.meta.url.endsWith(".ts") ? "ts" : "js";
  return fileURLToPath(new URL(`./miniflare-plugin.${extension}`, import.meta.url));
}
