// The store's objects in workerd, with a Worker in the place of the edge that says of events what a test wants.
import { cloudflareTest } from "@cloudflare/vitest-plugin";
import { build } from "esbuild";
import { mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { defineConfig } from "vitest/config";
import { DEFAULT_PLATFORM_LIMITS } from "../protocol/limits.ts";

const runtime = { compatibilityDate: "2026-11-01", compatibilityFlags: ["experimental"] };

export default defineConfig({
  plugins: [cloudflareTest(store)],
  test: {
    name: "store",
    testTimeout: 60_000,
    // What is waited for comes late on a busy machine; a second is vitest's own.
    expect: { poll: { timeout: 20_000 } },
    include: ["**/*.workerd.test.ts"],
  },
});

async function store() {
  const edge = await build({
    entryPoints: [join(import.meta.dirname, "test/edge.ts")],
    bundle: true,
    format: "esm",
    target: "es2024",
    write: false,
  });
  const script = edge.outputFiles[0]?.text ?? "";
  return {
    main: join(import.meta.dirname, "main.ts"),
    miniflare: {
      ...runtime,
      durableObjects: {
        KV: { className: "KvNamespace", useSQLite: true },
        R2_BUCKET: { className: "R2Bucket", useSQLite: true },
        QUOTAS: { className: "QuotaBook", useSQLite: true },
        CHANGES: { className: "ChangeFollower", useSQLite: true },
        QUEUES: { className: "QueueObject", useSQLite: true },
        SCHEDULES: { className: "Schedules", useSQLite: true },
        INVOCATIONS: { className: "Invocations", useSQLite: true },
        OBJECT_ROOMS: { className: "ObjectRoom", useSQLite: true },
      },
      serviceBindings: {
        EDGE_0: "edge",
        FILES: { disk: { path: mkdtempSync(join(tmpdir(), "skep-files-")), writable: true } },
      },
      bindings: {
        GRANT_KEY: "00".repeat(32),
        STORE: { edges: 1, limits: { ...DEFAULT_PLATFORM_LIMITS } },
      },
      workers: [{ name: "edge", modules: true, script, ...runtime }],
    },
  };
}
