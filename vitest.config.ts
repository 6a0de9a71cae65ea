// Every folder that needs more than plain Node (workerd, the real platform) has a vitest.config.ts of its own.
import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    // As many as there are cores; vitest itself leaves one free.
    maxWorkers: "100%",
    projects: [
      {
        test: {
          name: "unit",
          // Those that start processes share two cores with others that do.
          testTimeout: 20_000,
          // What is waited for comes late on a busy machine; a second is vitest's own.
          expect: { poll: { timeout: 15_000 } },
          include: ["src/**/*.test.ts", "bench/**/*.test.ts"],
          exclude: ["**/*.workerd.test.ts"],
        },
      },
      "src/*/vitest.config.ts",
      "test/vitest.config.ts",
      "test/vitest.alone.config.ts",
      "test/workerd/vitest.config.ts",
    ],
  },
});
