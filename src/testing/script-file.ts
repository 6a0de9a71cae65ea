/**
 * Scripts that are files: bundled with esbuild as wrangler does it, with text, data and WebAssembly
 * modules kept as modules of their own. Runs in Node, when Miniflare starts.
 */
import type { Plugin } from "esbuild";
import { readFile } from "node:fs/promises";
import { basename, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { packScript, type FileScript, type ModuleContent } from "./scripts/source.ts";
import type { PackedScript } from "./scripts/packed.ts";

const MAIN_MODULE = "index.js";

/** As wrangler's default rules; some packages import `x.wasm?module`. */
const ASSET = /\.(txt|html|sql|bin|wasm)(\?module)?$/;

/** Absolute, so that it means the same wherever Miniflare starts. */
export function absolutePath(main: string | URL): string {
  const isUrl = typeof main !== "string" || main.startsWith("file:");
  return isUrl ? fileURLToPath(main) : resolve(main);
}

/** `name` is the script's, for errors. */
export async function packFile(name: string, script: FileScript): Promise<PackedScript> {
  const { main, ...settings } = script;
  const esbuild = await import("esbuild").catch((cause: unknown) => {
    const message = `script "${name}" is a file, and bundling it needs the package esbuild; install it`;
    throw new Error(message, { cause });
  });
  const assets: Record<string, ModuleContent> = {};
  const { outputFiles } = await esbuild.build({
    entryPoints: [absolutePath(main)],
    bundle: true,
    write: false,
    format: "esm",
    target: "es2024",
    conditions: ["workerd", "worker", "browser"],
    external: ["cloudflare:*", "node:*"],
    logLevel: "silent",
    plugins: [keepAssets(assets)],
  });
  const source = outputFiles[0]?.text ?? "";
  const modules = { [MAIN_MODULE]: source, ...assets };
  return packScript(name, { ...settings, mainModule: MAIN_MODULE, modules });
}

/** Leaves imports of assets in place, and reads what they import into `assets`. */
function keepAssets(assets: Record<string, ModuleContent>): Plugin {
  const names = new Map<string, string>();
  return {
    name: "keep-assets",
    setup(build) {
      build.onResolve(
        { filter: ASSET },
        async ({ path, importer, resolveDir, kind, pluginData }) => {
          if (pluginData === ASSET) return undefined;
          const options = { importer, resolveDir, kind, pluginData: ASSET };
          const resolved = await build.resolve(path.replace(/\?module$/, ""), options);
          if (resolved.errors.length > 0) return resolved;
          const name = names.get(resolved.path) ?? `${names.size}-${basename(resolved.path)}`;
          names.set(resolved.path, name);
          assets[name] = await readFile(resolved.path);
          return { path: `./${name}`, external: true };
        },
      );
    },
  };
}
