/**
 * The code of ours that runs in workerd, as one module's source: built beside this file, or, when this
 * file runs from the sources, bundled on the spot.
 */
import { readFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";

const isSource = import.meta.url.endsWith(".ts");

export async function workerdModule(name: "namespace-binding" | "script-host"): Promise<string> {
  if (!isSource) return readFile(new URL(`./${name}.js`, import.meta.url), "utf8");
  const { build } = await import("esbuild");
  const { outputFiles } = await build({
    entryPoints: [fileURLToPath(new URL(`./workerd/${name}.ts`, import.meta.url))],
    bundle: true,
    write: false,
    format: "esm",
    target: "es2024",
    external: ["cloudflare:*"],
  });
  return outputFiles[0]?.text ?? "";
}
