// What crosses folders and processes: the real platform, the real wrangler. Much of it waits, so two files run at once.
// Those of ALONE say something of time or memory, or need the whole machine: they run one after another, after all others.
import { defineConfig } from "vitest/config";

export const ALONE = [
  "attacks.test.ts",
  "durability.test.ts",
  "faults.test.ts",
  "limits.test.ts",
  "probes.test.ts",
];

export const options = {
  // Concurrent tests mostly wait.
  maxConcurrency: 8,
  testTimeout: 60_000,
  hookTimeout: 60_000,
  // What is waited for comes late on a busy machine; a second is vitest's own.
  expect: { poll: { timeout: 20_000 } },
};

export default defineConfig({
  test: {
    ...options,
    name: "process",
    include: ["**/*.test.ts"],
    exclude: ["workerd/**", ...ALONE],
    maxWorkers: 2,
    sequence: { groupOrder: 1 },
  },
});
