// The edge's way to cells, in workerd, with a real cell beside it. What a test lets happen to a cell (its death,
// its eviction) it does to the connection.
import { cloudflareTest } from "@cloudflare/vitest-plugin";
import { build } from "esbuild";
import { join } from "node:path";
import { defineConfig } from "vitest/config";

const runtime = {
  compatibilityDate: "2026-11-01",
  compatibilityFlags: ["experimental", "service_binding_extra_handlers"],
};

export default defineConfig({
  plugins: [cloudflareTest(edge)],
  test: {
    name: "edge",
    include: ["**/*.workerd.test.ts"],
  },
});

async function edge() {
  const cell = await build({
    entryPoints: [join(import.meta.dirname, "../cell/main.ts")],
    bundle: true,
    format: "esm",
    target: "es2024",
    write: false,
    external: ["cloudflare:*"],
  });
  const script = cell.outputFiles[0]?.text ?? "";
  return {
    miniflare: {
      ...runtime,
      serviceBindings: { CELL: "cell" },
      workers: [{ name: "cell", modules: true, script, ...runtime, workerLoaders: { LOADER: {} } }],
    },
  };
}
