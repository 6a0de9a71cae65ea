/** What index.ts puts into Miniflare's options for the plugin to find. Miniflare takes JSON only. */
import type { ScriptSettings } from "./scripts/source.ts";
import type { PackedScript } from "./scripts/packed.ts";

export const PLUGIN_NAME = "skep-dispatch-namespace";

/** Files wait until Miniflare starts: bundling is asynchronous, writing down options is not. */
export type PendingScript =
  | { readonly packed: PackedScript }
  | { readonly file: ScriptSettings & { readonly main: string } };

export interface PluginOptions {
  /** The dispatcher finds the namespace in its `env` under this name. */
  readonly binding: string;
  readonly namespace: string;
  readonly scripts: Readonly<Record<string, PendingScript>>;
  readonly outbound: {
    readonly script: PendingScript;
    readonly parameters: readonly string[];
  } | null;
}
