// What crosses folders and processes: the real platform, the real wrangler. Files run one after another,
// since they share two cores with the platforms that they start.
import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    name: "process",
    include: ["**/*.test.ts"],
    exclude: ["workerd/**"],
    fileParallelism: false,
    // Concurrent tests mostly wait.
    maxConcurrency: 8,
    testTimeout: 60_000,
    hookTimeout: 60_000,
    // What is waited for comes late on a busy machine; a second is vitest's own.
    expect: { poll: { timeout: 20_000 } },
  },
});
