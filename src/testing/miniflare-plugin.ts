/**
 * The Miniflare plugin behind `dispatchNamespaces`. Miniflare imports this module itself, by the path that
 * the bindings name. For each binding it adds a Worker that holds the scripts (workerd/script-host.ts) and
 * puts a dispatch namespace into the dispatcher's `env` (workerd/namespace-binding.ts).
 */
import { ProxyNodeBinding, type ParsedWorkerOptions, type Plugin } from "miniflare";
import { PLUGIN_NAME, type PendingScript, type PluginOptions } from "./plugin-options.ts";
import { packFile } from "./script-file.ts";
import { DEFAULT_COMPATIBILITY_DATE } from "./scripts/source.ts";
import type { PackedNamespace, PackedScript } from "./scripts/packed.ts";
import { workerdModule } from "./workerd-module.ts";

const BINDING_MODULE = "skep:namespace-binding";

const plugin: Plugin = {
  getBindings(options, _shared, workerIndex) {
    return optionsOf(options).map(({ binding, namespace, outbound }) => ({
      name: binding,
      wrapped: {
        moduleName: BINDING_MODULE,
        innerBindings: [
          {
            name: "host",
            service: { name: hostName(workerIndex, binding), entrypoint: "ScriptHost" },
          },
          { name: "loader", workerLoader: {} },
          { name: "namespace", text: namespace },
          { name: "parameters", json: JSON.stringify(outbound?.parameters ?? null) },
        ],
      },
    }));
  },

  getNodeBindings(options) {
    const names = optionsOf(options).map(({ binding }) => binding);
    return Object.fromEntries(names.map((name) => [name, new ProxyNodeBinding()]));
  },

  async getServices({ options, workerIndex }) {
    return Promise.all(
      optionsOf(options).map(async (pending) => ({
        name: hostName(workerIndex, pending.binding),
        worker: {
          compatibilityDate: DEFAULT_COMPATIBILITY_DATE,
          modules: [{ name: "index.js", esModule: await workerdModule("script-host") }],
          bindings: [
            { name: "NAMESPACE", json: JSON.stringify(await packNamespace(pending)) },
            { name: "LOADER", workerLoader: {} },
          ],
          // Miniflare's name for what the dispatcher's own `fetch` goes through.
          ...(pending.outbound && { globalOutbound: { name: `outbound:${workerIndex}` } }),
        },
      })),
    );
  },

  async getExtensions({ options }) {
    if (!options.some((worker) => optionsOf(worker).length > 0)) return [];
    const esModule = await workerdModule("namespace-binding");
    return [{ modules: [{ name: BINDING_MODULE, esModule, internal: true }] }];
  },
};

export const plugins = { [PLUGIN_NAME]: plugin };

/** The options of our bindings among all of a Worker's. */
function optionsOf({ config }: ParsedWorkerOptions): PluginOptions[] {
  return Object.values(config.env ?? {}).flatMap((binding) => {
    if (!("dev" in binding) || binding.dev === undefined || !("plugin" in binding.dev)) return [];
    const { plugin, options } = binding.dev;
    return plugin.name === PLUGIN_NAME ? [options as unknown as PluginOptions] : [];
  });
}

function hostName(workerIndex: number, binding: string): string {
  return `skep:script-host:${workerIndex}:${binding}`;
}

async function packNamespace({
  namespace,
  scripts,
  outbound,
}: PluginOptions): Promise<PackedNamespace> {
  const packed = await Promise.all(
    Object.entries(scripts).map(
      async ([name, script]) => [name, await pack(name, script)] as const,
    ),
  );
  return {
    namespace,
    scripts: Object.fromEntries(packed),
    outbound: outbound && {
      script: await pack("outbound", outbound.script),
      parameters: outbound.parameters,
    },
  };
}

async function pack(name: string, script: PendingScript): Promise<PackedScript> {
  return "packed" in script ? script.packed : packFile(name, script.file);
}
