// The dispatcher as wrangler.toml configures it, inside workerd, with dispatch namespaces of skep/testing.
import { cloudflareTest } from "@cloudflare/vitest-plugin";
import { fileURLToPath } from "node:url";
import { defineConfig } from "vitest/config";
import { dispatchNamespaces } from "../../src/testing/index.ts";

const main = fileURLToPath(new URL("./fixtures/greeting.ts", import.meta.url));

export default defineConfig({
  plugins: [
    cloudflareTest({
      wrangler: { configPath: "../../wrangler.toml" },
      miniflare: {
        bindings: {
          BASE_DOMAIN: "skep.test",
          METRICS_FLUSH_MS: "5",
          ROUTES: [
            { id: "1", pattern: "shop.test/api/*", namespace: "production", script: "api" },
            { id: "2", pattern: "shop.test/*", namespace: "production", script: "shop" },
            { id: "3", pattern: "shop.test/old/*", namespace: "production", script: null },
          ],
        },
        ...dispatchNamespaces({
          DISPATCHER: {
            namespace: "production",
            scripts: {
              greeting: { main },
              api: "export default { fetch: () => new Response('api') }",
              shop: "export default { fetch: () => new Response('shop') }",
              sick: `export default { fetch: () => new Response("I am ill", { status: 500 }) }`,
              throws: "export default { fetch() { throw new TypeError('no such hive') } }",
            },
          },
          DISPATCHER_STAGING_EU: { namespace: "staging-eu" },
        }),
      },
    }),
  ],
  test: { name: "dispatcher", include: ["**/*.workerd.test.ts"] },
});
