// The tests of hub, api and registry run in the whole hub in workerd: real Durable Objects, a real disk for
// blobs and the real trial cell. Only the supervisor, which is a Node process, is stood in for by a Worker
// that records what it is told; the store is the real one.
import { cloudflareTest } from "@cloudflare/vitest-plugin";
import { build } from "esbuild";
import { mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { defineConfig } from "vitest/config";
import { DEFAULT_PLATFORM_LIMITS } from "../protocol/limits.ts";

const SRC = join(import.meta.dirname, "..");
const compatibilityDate = "2026-11-01";

/** A Worker of its own, bundled as build.ts does. */
async function auxiliary(name: string, entry: string, options: object = {}) {
  const bundled = await build({
    entryPoints: [join(import.meta.dirname, entry)],
    bundle: true,
    format: "esm",
    target: "es2024",
    write: false,
    external: ["cloudflare:*"],
  });
  const script = bundled.outputFiles[0]?.text ?? "";
  return { name, modules: true, script, compatibilityDate, ...options };
}

export default defineConfig({
  plugins: [cloudflareTest(hub)],
  test: {
    name: "hub",
    dir: SRC,
    // Fifty deploys with their trials take a while on a busy machine.
    testTimeout: 60_000,
    hookTimeout: 60_000,
    // What is waited for comes late on a busy machine; a second is vitest's own.
    expect: { poll: { timeout: 20_000 } },
    include: ["{api,hub,registry}/**/*.workerd.test.ts"],
  },
});

async function hub() {
  return {
    main: join(import.meta.dirname, "main.ts"),
    miniflare: {
      compatibilityDate,
      compatibilityFlags: ["experimental"],
      durableObjects: {
        REGISTRY: { className: "Registry", useSQLite: true },
        ANALYTICS: { className: "AnalyticsStore", useSQLite: true },
        FUNCTION_METRICS: { className: "FunctionMetrics", useSQLite: true },
        FUNCTION_LOGS: { className: "FunctionLogs", useSQLite: true },
      },
      serviceBindings: {
        BLOBS: { disk: { path: mkdtempSync(join(tmpdir(), "skep-blobs-")), writable: true } },
        SUPERVISOR: "supervisor",
        TRIAL: { name: "cell", entrypoint: "CellControl" },
        STORE: { name: "store", entrypoint: "ControlGate" },
      },
      bindings: {
        SECRET_KEY: Buffer.alloc(32, 7).toString("base64"),
        PLATFORM: {
          baseDomain: "localhost",
          apiUrl: "http://127.0.0.1:8788",
          httpPort: 8787,
          httpsPort: 8443,
          limits: { ...DEFAULT_PLATFORM_LIMITS },
          isolation: "shared",
          cells: { probation: 2, total: 34 },
        },
      },
      workers: [
        await auxiliary("supervisor", "./test/supervisor.ts"),
        await auxiliary("store", "../store/main.ts", {
          compatibilityFlags: ["experimental"],
          serviceBindings: {
            FILES: { disk: { path: mkdtempSync(join(tmpdir(), "skep-files-")), writable: true } },
            DATABASES: { name: "databases", entrypoint: "ControlGate" },
          },
          bindings: {
            GRANT_KEY: "00".repeat(32),
            STORE: { edges: 0, limits: DEFAULT_PLATFORM_LIMITS },
          },
          durableObjects: {
            QUOTAS: { className: "QuotaBook", useSQLite: true },
            CHANGES: { className: "ChangeFollower", useSQLite: true },
            QUEUES: { className: "QueueObject", useSQLite: true },
            R2_BUCKET: { className: "R2Bucket", useSQLite: true },
            KV: { className: "KvNamespace", useSQLite: true },
            SCHEDULES: { className: "Schedules", useSQLite: true },
            INVOCATIONS: { className: "Invocations", useSQLite: true },
            OBJECT_ROOMS: { className: "ObjectRoom", useSQLite: true },
          },
        }),
        await auxiliary("databases", "../store/d1/main.ts", {
          compatibilityFlags: ["experimental"],
          durableObjects: { D1: { className: "D1Database", useSQLite: true } },
          serviceBindings: {
            FILES: { disk: { path: mkdtempSync(join(tmpdir(), "skep-files-")), writable: true } },
            STORE: { name: "store", entrypoint: "ControlGate" },
          },
          bindings: { GRANT_KEY: "00".repeat(32), LANE: { cpuMs: 1_000, slow: {} } },
        }),
        await auxiliary("cell", "../cell/main.ts", {
          compatibilityFlags: ["experimental"],
          workerLoaders: { LOADER: {} },
        }),
      ],
    },
  };
}
