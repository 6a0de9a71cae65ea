// FunctionMetrics as a real Durable Object in workerd, with the hub's code that writes and reads it.
import { cloudflareTest } from "@cloudflare/vitest-plugin";
import { defineConfig } from "vitest/config";

export default defineConfig({
  plugins: [cloudflareTest({ wrangler: { configPath: "./test/wrangler.jsonc" } })],
  test: {
    name: "metrics",
    include: ["**/*.workerd.test.ts"],
  },
});
