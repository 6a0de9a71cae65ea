// Isolates, gate and wrapper in workerd: tests talk to Workers that hold isolates as edges and cells do. Only egress is stood in for, by a Worker that records what comes.
import { cloudflareTest } from "@cloudflare/vitest-plugin";
import { build } from "esbuild";
import { defineConfig } from "vitest/config";

const compatibilityDate = "2026-11-01";

async function auxiliary(name: string, entry: string, options: object = {}) {
  const bundled = await build({
    entryPoints: [`${import.meta.dirname}/${entry}`],
    bundle: true,
    format: "esm",
    target: "es2024",
    write: false,
    external: ["cloudflare:*"],
  });
  const script = bundled.outputFiles[0]?.text ?? "";
  return { name, modules: true, script, compatibilityDate, ...options };
}

function holder(name: string, entry: string, bindings: Record<string, number> = {}) {
  return auxiliary(name, entry, {
    compatibilityFlags: ["experimental", "service_binding_extra_handlers"],
    workerLoaders: { LOADER: {} },
    serviceBindings: { EGRESS: "collector" },
    bindings,
  });
}

async function workers() {
  return {
    main: `${import.meta.dirname}/test/collector.ts`,
    miniflare: {
      compatibilityDate,
      compatibilityFlags: ["experimental", "service_binding_extra_handlers"],
      serviceBindings: {
        HOST: "host",
        TIGHT_HOST: "tight-host",
        MARKED_HOST: "marked-host",
        COLLECTOR: "collector",
        CELL: "cell",
        CELL_CONTROL: { name: "cell", entrypoint: "CellControl" },
      },
      workers: [
        await auxiliary("collector", "test/collector.ts"),
        await holder("host", "test/host.ts", { KEEP_ALIVE_MS: 60_000 }),
        await holder("tight-host", "test/host.ts", { MAX_ISOLATES: 10 }),
        await holder("cell", "main.ts"),
        await holder("marked-host", "test/marked-host.ts"),
      ],
    },
  };
}

export default defineConfig({
  plugins: [cloudflareTest(workers)],
  test: { name: "cell", include: ["**/*.workerd.test.ts"] },
});
