// The tests of the real platform that need the machine for themselves.
import { defineConfig } from "vitest/config";
import { ALONE, options } from "./vitest.config.ts";

export default defineConfig({
  test: { ...options, name: "alone", include: ALONE, fileParallelism: false },
});
