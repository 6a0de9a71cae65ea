/**
 * Bundles src/ into dist/: one file per Worker that runs in workerd, one for the command line, one for
 * `skep/testing`. Plain esbuild; nothing is downloaded. Run by `npm run build` and after `npm ci`.
 */
import { build, type BuildOptions } from "esbuild";
import { rm } from "node:fs/promises";
import { buildExamples } from "./build-examples.ts";

const common: BuildOptions = {
  bundle: true,
  format: "esm",
  target: "es2024",
  logLevel: "warning",
  outdir: "dist",
};

// Chunks have a hash in their names, so old ones would stay.
await rm("dist/cli", { recursive: true, force: true });

const workers = ["hub", "store", "edge", "cell", "egress"].map((name) => ({
  in: `src/${name}/main.ts`,
  out: `workers/${name}`,
}));
workers.push({ in: "src/store/d1/main.ts", out: "workers/databases" });

await Promise.all([
  build({
    ...common,
    entryPoints: [
      ...workers,
      { in: "src/cell/stateful.ts", out: "workers/stateful" },
      { in: "src/cell/workflows.ts", out: "workers/workflows" },
      { in: "src/dispatcher/index.ts", out: "workers/dispatcher" },
      { in: "src/testing/workerd/namespace-binding.ts", out: "testing/namespace-binding" },
      { in: "src/testing/workerd/script-host.ts", out: "testing/script-host" },
    ],
    conditions: ["workerd", "worker", "browser"],
    // Each process parses its Worker when it starts. Names stay, for stack traces.
    minifyWhitespace: true,
    minifySyntax: true,
    // `dispatcher` is the operator's choice, the other one the runtime's: configurations supply the modules.
    external: ["cloudflare:*", "node:*", "dispatcher", "workflows-engine"],
  }),
  build({
    ...common,
    entryPoints: [{ in: "src/cli/skep.ts", out: "cli" }],
    platform: "node",
    packages: "external",
    // A command loads only what it needs.
    splitting: true,
    chunkNames: "cli/[name]-[hash]",
  }),
  build({
    ...common,
    entryPoints: [
      { in: "src/testing/index.ts", out: "testing/index" },
      { in: "src/testing/miniflare-plugin.ts", out: "testing/miniflare-plugin" },
    ],
    platform: "node",
    packages: "external",
  }),
  buildExamples("dist/examples"),
]);
