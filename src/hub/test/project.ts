/**
 * A Vitest project that runs in the whole hub in workerd: real Durable Objects, a real disk for blobs and
 * the real trial cell. Only the supervisor, which is a Node process, is stood in for by a Worker that
 * records what it is told.
 */
import { cloudflareTest } from "@cloudflare/vitest-plugin";
import { build } from "esbuild";
import { mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { fileURLToPath } from "node:url";
import { join } from "node:path";
import { defineConfig, type ViteUserConfig } from "vitest/config";

const compatibilityDate = "2026-11-01";

/** A Worker of its own, bundled as build.ts does. */
async function auxiliary(name: string, entry: string, options: object = {}) {
  const bundled = await build({
    entryPoints: [fileURLToPath(new URL(entry, import.meta.url))],
    bundle: true,
    format: "esm",
    target: "es2024",
    write: false,
    external: ["cloudflare:*"],
  });
  const script = bundled.outputFiles[0]?.text ?? "";
  return { name, modules: true, script, compatibilityDate, ...options };
}

export function hubProject(name: string): ViteUserConfig {
  return defineConfig({
    plugins: [cloudflareTest(hub)],
    test: { name, include: ["**/*.workerd.test.ts"] },
  });
}

async function hub() {
  return {
    main: fileURLToPath(new URL("../main.ts", import.meta.url)),
    miniflare: {
      compatibilityDate,
      compatibilityFlags: ["experimental"],
      durableObjects: {
        REGISTRY: { className: "Registry", useSQLite: true },
        FUNCTION_METRICS: { className: "FunctionMetrics", useSQLite: true },
      },
      serviceBindings: {
        BLOBS: { disk: { path: mkdtempSync(join(tmpdir(), "skep-blobs-")), writable: true } },
        SUPERVISOR: "supervisor",
        TRIAL: "cell",
      },
      bindings: {
        SECRET_KEY: Buffer.alloc(32, 7).toString("base64"),
        PLATFORM: {
          baseDomain: "localhost",
          apiUrl: "http://127.0.0.1:8788",
          httpPort: 8787,
          httpsPort: 8443,
        },
      },
      workers: [
        await auxiliary("supervisor", "./supervisor.ts"),
        await auxiliary("cell", "../../cell/main.ts", {
          compatibilityFlags: ["experimental"],
          workerLoaders: { LOADER: {} },
        }),
      ],
    },
  };
}
